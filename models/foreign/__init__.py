"""Models that others wrote: read as data, checked, and only then built."""
