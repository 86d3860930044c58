"""Words of a report for models whose outputs are numbers or several labels."""

from __future__ import annotations

CLASSES, LABELS, VALUES = "classes", "labels", "values"

TITLES = {
    CLASSES: ("top-1", "drop", "agreement"),
    LABELS: ("exact match", "drop", "same labels"),
    VALUES: ("R2", "RMSE to original", "largest error"),
}
"""The three columns of a table of results that depend on what the outputs are."""

LEGENDS = {
    LABELS: "Exact match: images with every label right, each label on where its sigmoid is over its "
    "threshold. Drop: "
    "percentage points of it lost against the original. Same labels: images where file and original give the "
    "same labels. ",
    VALUES: "R2: share of the variance of the data's values that the outputs explain. RMSE to original and "
    "largest error: against the original's outputs, in units of the values. ",
}


def value_text(value: float | None) -> str | None:
    """A figure in the values' units."""
    return None if value is None else f"{value:.4g}"
