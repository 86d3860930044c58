"""From which probability on a sigmoid's label, or the second of two classes, is taken."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError

HALF: Final = (0.5,)
MOST: Final = 10_000


def parse_threshold(value: Any) -> tuple[float, ...]:
    """Read ``--threshold``: a probability, or one a label with commas.

    Args:
        value: text, a number, or a sequence of numbers; None is 0.5.

    Raises:
        InputError: no number, or one outside of 0..1, whose ends decide nothing.
    """
    if value is None:
        return HALF
    given = value.split(",") if isinstance(value, str) else value
    items: Sequence[Any] = given if isinstance(given, (list, tuple)) else [given]
    try:
        found = tuple(float(item) for item in items)
    except (TypeError, ValueError, OverflowError):
        found = ()
    if not 0 < len(found) <= MOST or any(not 0 < item < 1 for item in found):
        raise InputError(
            f"`threshold`: expected a probability between 0 and 1, or one a label with commas, found "
            f"'{value}'. "
            "Example: `threshold=0.3`"
        )
    return found


def logit(probability: Any) -> npt.NDArray[np.float64]:
    """``log(p / (1 - p))``: a sigmoid is over p where what it is taken of is over this."""
    p = np.asarray(probability, np.float64)
    return np.asarray(np.log(p / (1 - p)))


def threshold_text(threshold: Sequence[float]) -> str:
    """As a sentence or a command has it."""
    return ",".join(f"{item:g}" for item in threshold)


def is_half(threshold: Sequence[float]) -> bool:
    """Whether every label is taken from 0.5 on."""
    return all(math.isclose(item, 0.5) for item in threshold)
