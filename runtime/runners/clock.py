"""The clock that inferences are timed with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt


def time_block(
    call: Callable[[npt.NDArray[Any]], Any], batch: npt.NDArray[Any], count: int
) -> npt.NDArray[np.int64]:
    """Time ``count`` calls one by one.

    Args:
        call: usually a runner's `Runner.prepared_call`.
        batch: its argument.
        count: calls.

    Returns:
        int64 nanoseconds, shape (count,), with ``time.perf_counter_ns``: from one call's end to
        the next one's, so each holds one reading of the clock.
    """
    # one stamp a call, not two: the clock itself takes a tenth of a microsecond, a whole inference 4 to 8
    clock = time.perf_counter_ns
    stamps = [0] * (count + 1)
    stamps[0] = clock()
    for index in range(1, count + 1):
        call(batch)
        stamps[index] = clock()
    ends = np.array(stamps, np.int64)
    return ends[1:] - ends[:-1]
