"""What a search for the cheapest change judges labels or numbers by: the limits of the check itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnist_export.core.kinds import Verdict
from mnist_export.models.judging import CLASSES, VALUES
from mnist_export.parity.heads import Head, judge
from mnist_export.parity.limits import Thresholds
from mnist_export.quantize.auto import Answers, Figures, Judge

if TYPE_CHECKING:
    from mnist_export.data.dataset import Split


def search_judge(head: Head, limits: Thresholds) -> tuple[Judge | None, str]:
    """The judge and its limits in words; None for classes, which the search judges itself.

    Args:
        head: what the outputs are.
        limits: of labels.
    """
    if head.kind == CLASSES:
        return None, ""
    most = 100.0 if limits.max_drop_pp is None else limits.max_drop_pp
    text = f"a drop of {most:g} pp and the original's labels on {limits.min_agreement or 0:.2%}"
    if head.kind == VALUES:
        text = "the allowed error" if head.max_error is None else f"an error of {head.max_error:g}"

    def figures(wanted: Answers, found: Answers, split: Split) -> Figures:
        seen = judge(head, wanted, found, split, limits)
        meets = seen.verdict is Verdict.PASS
        if seen.original_values is not None:
            errors = seen.original_values
            worst = errors.max_abs if head.max_error is not None else errors.rmse
            text = f"RMSE {errors.rmse:.4g}, largest error {errors.max_abs:.4g}"
            return Figures(text=text, meets=meets, distance=(worst,))
        drop, same = seen.drop_pp or 0.0, seen.agreement or 0.0
        return Figures(
            text=f"drop of images with every label right {drop:+.2f} pp, the original's labels on {same:.2%}",
            meets=meets,
            distance=(max(0.0, drop - most), -same),
            drop_pp=drop,
            agreement=same,
        )

    return figures, text
