"""A streamed histogram of one tensor, on which ranges that clip outliers are chosen.

Two passes over the images: the first finds the extremes, the second counts. Memory is that of the
bins, whatever the number of images.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from mnist_export.quantize.ranges.calibration import Range

BINS = 2048
"""Eight bins a step of 8 bits, so that clipping is judged on a finer grid than it is carried out on."""

LEVELS = 256
"""Codes of an 8-bit activation."""

Counts = npt.NDArray[np.float64]


class HistogramObserver(ABC):
    """Counts values in equal bins between the extremes, then chooses a range.

    Zeros are counted apart: real 0 has a code of its own in every scheme, so it never carries an error,
    and after a ReLU it would be most of the values.
    """

    passes = 2

    def __init__(self) -> None:
        """Start with an empty range."""
        self._lo, self._hi = np.inf, -np.inf
        self._counts = np.zeros(BINS, np.float64)
        self._zeros = 0

    def update(self, values: npt.NDArray[np.float32], number: int) -> None:
        """Widen the extremes in pass 0; count in pass 1."""
        if number == 0:
            self._lo = min(self._lo, float(values.min()))
            self._hi = max(self._hi, float(values.max()))
            return
        flat = values.ravel()
        kept = flat[flat != 0.0]
        self._zeros += flat.size - kept.size
        if self._hi > self._lo:
            counts, _ = np.histogram(kept, bins=BINS, range=(self._lo, self._hi))
            self._counts += counts

    def range(self) -> Range:
        """The chosen range, widened to hold 0; the extremes where there is nothing to choose."""
        lo, hi = min(self._lo, 0.0), max(self._hi, 0.0)
        if not self._hi > self._lo or not self._counts.any():
            return Range(lo=self._lo, hi=self._hi)
        edges = np.linspace(self._lo, self._hi, BINS + 1)
        chosen_lo, chosen_hi = self.choose(self._counts, edges, self._zeros)
        # Never wider than what was seen: a choice on bin edges may round outwards.
        return Range(lo=min(0.0, max(lo, chosen_lo)), hi=max(0.0, min(hi, chosen_hi)))

    @abstractmethod
    def choose(self, counts: Counts, edges: Counts, zeros: int) -> tuple[float, float]:
        """Choose a range.

        Args:
            counts: float64 of shape (BINS,), values that are not 0 in each bin.
            edges: float64 of shape (BINS + 1,), real units.
            zeros: how many values were exactly 0.

        Returns:
            Lower and upper end, real units.
        """


def shrunk(edges: Counts, fraction: float) -> tuple[float, float]:
    """The range of the edges, widened to hold 0, with both ends moved towards 0 by one factor."""
    return min(float(edges[0]), 0.0) * fraction, max(float(edges[-1]), 0.0) * fraction
