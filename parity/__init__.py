"""Two sets of answers compared: goldens, statistics, thresholds, verdicts."""
