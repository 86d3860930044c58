"""How far the numbers of two models are apart, for models whose outputs are numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.record import Record

MAX_SHARE: Final = 0.05
"""Largest RMSE against the original, as a share of the standard deviation of targets or outputs."""


@dataclass(frozen=True, kw_only=True)
class Distance(Record):
    """Errors of values in their own units.

    Attributes:
        mean_abs: mean absolute error.
        rmse: root of the mean squared error.
        max_abs: largest absolute error.
        r2: share of the variance that is explained, the mean of each output taken off; None where nothing
            varies.
    """

    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("mean_abs", "rmse", "max_abs")

    mean_abs: float
    rmse: float
    max_abs: float
    r2: float | None = None


def distance(wanted: npt.NDArray[Any], found: npt.NDArray[Any]) -> Distance:
    """Measure values against those that they should be.

    Args:
        wanted: finite, shape (n, values), n > 0.
        found: finite, the same shape.

    Raises:
        InputError: the shapes differ.
    """
    if wanted.shape != found.shape or not wanted.size:
        raise InputError(
            f"values: expected two arrays of one shape, found {wanted.shape} and {found.shape}. The models "
            "or the data are not of one kind."
        )
    aim = np.asarray(wanted, np.float64)
    error = np.asarray(found, np.float64) - aim
    squares = float(np.square(error).sum())
    spread = float(np.square(aim - aim.mean(axis=0)).sum())
    return Distance(
        mean_abs=float(np.abs(error).mean()),
        rmse=math.sqrt(squares / error.size),
        max_abs=float(np.abs(error).max()),
        r2=1.0 - squares / spread if spread > 0 else None,
    )


@dataclass(frozen=True, kw_only=True)
class ValueLimit:
    """What values are judged by.

    Attributes:
        max_error: largest allowed error of any value against the original; None judges the RMSE, which may be
            `MAX_SHARE` of the standard deviation of the targets or of the original's outputs, whichever is
            larger, each output for itself.
    """

    max_error: float | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that nothing or everything passes."""
        if self.max_error is not None and not (math.isfinite(self.max_error) and self.max_error >= 0):
            raise InputError(
                f"`max_error`: expected a number of 0 or more, found {self.max_error}. Example: "
                "`max_error=0.5`"
            )

    def judge(
        self,
        original: npt.NDArray[Any],
        found: npt.NDArray[Any],
        targets: npt.NDArray[Any] | None = None,
    ) -> tuple[bool, str]:
        """Whether values pass, and what was found.

        Args:
            original: the original's values, shape (n, values).
            found: the candidate's.
            targets: what the values should be, the same shape; None where that is not known.
        """
        error = np.asarray(found, np.float64) - np.asarray(original, np.float64)
        largest = float(np.abs(error).max())
        if self.max_error is not None:
            return largest <= self.max_error, (
                f"largest error against the original {largest:.4g}, allowed {self.max_error:g}"
            )
        rmse = np.sqrt(np.square(error).mean(axis=0))
        own = np.asarray(original, np.float64).std(axis=0)
        # the outputs of a network that hardly answers hardly vary
        aims = own if targets is None else np.asarray(targets, np.float64).std(axis=0)
        spread = np.maximum(own, aims)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(rmse == 0, 0.0, rmse / spread)
        worst = int(share.argmax())
        of = "the targets" if aims[worst] > own[worst] else "the original's outputs"
        where = f" of output {worst}" if len(share) > 1 else ""
        return bool(share[worst] <= MAX_SHARE), (
            f"RMSE{where} against the original {rmse[worst]:.4g}, {share[worst]:.2%} of the standard "
            f"deviation {spread[worst]:.4g} of {of}, allowed {MAX_SHARE:.0%}"
        )
