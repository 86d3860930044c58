"""How a range is chosen from the values that a tensor took."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_export.quantize.ranges.calibration import Range


class MinMaxObserver:
    """The smallest and the largest value seen: nothing saturates on the calibration images."""

    passes = 1

    def __init__(self) -> None:
        """Start with an empty range."""
        self._lo, self._hi = np.inf, -np.inf

    def update(self, values: npt.NDArray[np.float32], number: int) -> None:
        """Widen the range by one batch's extremes."""
        self._lo = min(self._lo, float(values.min()))
        self._hi = max(self._hi, float(values.max()))

    def range(self) -> Range:
        """The extremes."""
        return Range(lo=self._lo, hi=self._hi)
