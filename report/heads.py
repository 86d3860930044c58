"""Records of a report for models whose outputs are numbers or several labels, and their words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnist_export.core.errors import InputError
from mnist_export.report.codec import Record

CLASSES, LABELS, VALUES = "classes", "labels", "values"


@dataclass(frozen=True, kw_only=True)
class ValueErrors(Record):
    """Errors of values in their own units: of an artifact or the original, against some others.

    Attributes:
        mean_abs: mean absolute error.
        rmse: root of the mean squared error.
        max_abs: largest absolute error.
        r2: share of the variance explained, 1 at most; None where nothing varies.
    """

    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("mean_abs", "rmse", "max_abs")

    mean_abs: float
    rmse: float
    max_abs: float
    r2: float | None = None


@dataclass(frozen=True, kw_only=True)
class LabelSets(Record):
    """Agreement of sets of labels; fractions of 1.

    Attributes:
        exact_match: share of images with every label alike.
        per_label: share of images that agree on each label, in the order of the data's class names.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("exact_match",)

    exact_match: float
    per_label: tuple[float, ...] = ()

    def _check(self) -> None:
        if any(not 0 <= share <= 1 for share in self.per_label):
            raise InputError("LabelSets.per_label: expected fractions of 1.")


TITLES = {
    CLASSES: ("top-1", "drop", "agreement"),
    LABELS: ("exact match", "drop", "same labels"),
    VALUES: ("R2", "RMSE to original", "largest error"),
}
"""The three columns of a table of results that depend on what the outputs are."""

LEGENDS = {
    LABELS: "Exact match: images with every label right, each label on where its sigmoid is over 0.5. Drop: "
    "percentage points of it lost against the original. Same labels: images where file and original give the "
    "same labels. ",
    VALUES: "R2: share of the variance of the data's values that the outputs explain. RMSE to original and "
    "largest error: against the original's outputs, in units of the values. ",
}


def value_text(value: float | None) -> str | None:
    """A figure in the values' units."""
    return None if value is None else f"{value:.4g}"
