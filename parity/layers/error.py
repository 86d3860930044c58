"""The error after one layer, as a report lists it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnist_export.core.record import Interval, Record, check_interval


@dataclass(frozen=True, kw_only=True)
class LayerError(Record):
    """Difference between reference and artifact after one layer.

    Attributes:
        name: the layer's name.
        operator: its operator or class.
        max_error_steps: largest difference in steps of the layer's output scale.
        max_abs_error: largest difference, real units.
        sqnr_db: decibels at its output, the errors that reach it from the layers before included
            (propagated); None when not measured or infinite.
        own_sqnr_db: decibels at its output when this layer alone is quantized and all others stay in
            float: what it adds itself; None when not measured or infinite.
        alone_sqnr_db: decibels at the logits when this layer alone is quantized; None as above.
        observed: smallest and largest value at its output in the float network, real units.
        saturation: share of those values outside of what its output can represent, a fraction of 1.
        worst_channel_steps: root mean square difference of the worst channel, in steps; where it was
            measured, the budget is for it, else for the largest difference.
        budget_steps: the difference that is allowed, in steps.
        exceeds: whether it is above its budget.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("saturation",)
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = (
        "max_error_steps",
        "max_abs_error",
        "worst_channel_steps",
        "budget_steps",
    )

    name: str
    operator: str = ""
    max_error_steps: float | None = None
    max_abs_error: float | None = None
    sqnr_db: float | None = None
    worst_channel_steps: float | None = None
    budget_steps: float | None = None
    exceeds: bool = False
    own_sqnr_db: float | None = None
    alone_sqnr_db: float | None = None
    observed: Interval | None = None
    saturation: float | None = None

    def _check(self) -> None:
        check_interval(self.observed, "LayerError.observed")
