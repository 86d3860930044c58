"""The range with the smallest expected squared error of an 8-bit activation."""

from __future__ import annotations

import numpy as np

from mnist_export.quantize.ranges.histogram import LEVELS, Counts, HistogramObserver

CANDIDATES = 80
SMALLEST = 0.1


class MseObserver(HistogramObserver):
    """Minimizes ``E[(x - clip(round(x / scale)) * scale)^2]``: one end at a time, twice."""

    def choose(self, counts: Counts, edges: Counts, zeros: int) -> tuple[float, float]:
        """Search both ends on a grid of 80 fractions of the extremes."""
        centers = (edges[:-1] + edges[1:]) / 2
        used = counts > 0
        counts, centers = counts[used], centers[used]
        widest = min(float(edges[0]), 0.0), max(float(edges[-1]), 0.0)
        lo, hi = widest
        fractions = np.linspace(1.0, SMALLEST, CANDIDATES)
        for _ in range(2):
            hi = min((widest[1] * f for f in fractions), key=lambda h: _error(counts, centers, lo, h))
            lo = min((widest[0] * f for f in fractions), key=lambda x: _error(counts, centers, x, hi))
        return float(lo), float(hi)


def _error(counts: Counts, centers: Counts, lo: float, hi: float) -> float:
    if hi <= lo:
        return float("inf")
    scale = (hi - lo) / (LEVELS - 1)
    zero = np.rint(-lo / scale)
    codes = np.clip(np.rint(centers / scale) + zero, 0, LEVELS - 1)
    return float(np.sum(counts * np.square(centers - (codes - zero) * scale)))
