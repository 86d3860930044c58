"""The range that holds all but the outermost share of the values."""

from __future__ import annotations

import numpy as np

from mnist_export.quantize.ranges.histogram import Counts, HistogramObserver

PERCENTILE = 99.99


class PercentileObserver(HistogramObserver):
    """From the (100 - p)-th to the p-th percentile, p = 99.99, of all values, zeros included."""

    def choose(self, counts: Counts, edges: Counts, zeros: int) -> tuple[float, float]:
        """Read both percentiles off the cumulated histogram; a bin counts as a whole."""
        total = counts.sum() + zeros
        tail = (1.0 - PERCENTILE / 100.0) * total
        below = np.cumsum(counts)
        above = np.cumsum(counts[::-1])
        first = int(np.searchsorted(below, tail, side="right"))
        last = len(counts) - 1 - int(np.searchsorted(above, tail, side="right"))
        lo = float(edges[first]) if edges[0] < 0 and first < len(counts) else 0.0
        hi = float(edges[last + 1]) if edges[-1] > 0 and last >= 0 else 0.0
        return lo, hi
