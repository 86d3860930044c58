"""Errors of output values: in real units, in quantization steps, and as a signal-to-noise ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from mnist_export.core.record import Record


@dataclass(frozen=True, kw_only=True)
class LogitErrors(Record):
    """How far the candidate's output values are from the reference's.

    Attributes:
        max_abs_error: largest absolute difference, real units; None if not finite.
        sqnr_db: ``10 log10(sum(reference^2) / sum((reference - candidate)^2))``; None where nothing differs
            or the reference is all zero.
        mean_abs_error: mean absolute difference, real units.
        max_error_steps: largest absolute difference in steps of the candidate's output, None for float.
        compared: how many values were compared.
        different: how many of them differ at all.
        mean_error: mean of candidate minus reference, far from 0 it is a bias; this and what follows is not
            part of the JSON form.
        rmse: root of the mean squared difference.
        step: real units per step of the candidate's output, None for float.
        rmse_steps: ``rmse`` in steps, None for float.
        domain: ``logits``, or ``probabilities`` where softmaxed values were compared.
    """

    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = (
        "max_abs_error", "mean_abs_error", "max_error_steps", "compared", "different",
    )  # fmt: skip

    max_abs_error: float | None = None
    sqnr_db: float | None = None
    mean_abs_error: float | None = None
    max_error_steps: float | None = None
    compared: int | None = None
    different: int | None = None
    mean_error: float = field(default=0.0, repr=False, compare=False)
    rmse: float | None = field(default=None, repr=False, compare=False)
    step: float | None = field(default=None, repr=False, compare=False)
    rmse_steps: float | None = field(default=None, repr=False, compare=False)
    domain: str = field(default="logits", repr=False, compare=False)


def sqnr_db(reference: npt.NDArray[np.float64], candidate: npt.NDArray[np.float64]) -> float | None:
    """Signal to quantization noise in dB; None where nothing differs or there is no signal.

    ``10 log10(sum(reference^2) / sum((reference - candidate)^2))``.
    """
    signal = float(np.sum(np.square(reference)))
    noise = float(np.sum(np.square(reference - candidate)))
    return 10.0 * math.log10(signal / noise) if signal > 0 and noise > 0 else None


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``exp(x - max) / sum`` along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float64)


def are_probabilities(values: npt.NDArray[np.float64], step: float | None = None) -> bool:
    """Whether every row looks like a softmax's output: within 0..1 and of sum 1.

    Each of the values may be half a step off, so a quantized row's sum by ``classes * step / 2``.

    Args:
        values: shape (n, classes).
        step: real units per step, None for float.
    """
    slack = max(1e-3, values.shape[1] * (step or 0.0) / 2)
    within = bool(np.all((values >= -1e-6) & (values <= 1 + 1e-6)))
    return within and bool(np.all(np.abs(values.sum(axis=1) - 1) <= slack))


def logit_errors(
    reference: npt.NDArray[np.float64],
    candidate: npt.NDArray[np.float64],
    *,
    step: float | None = None,
    reference_step: float | None = None,
) -> tuple[LogitErrors, tuple[str, ...]]:
    """Measure the difference of two sets of output values.

    Where exactly one side ends in softmax the other side is softmaxed first, and a note says so.

    Args:
        reference: shape (n, classes), finite.
        candidate: the same shape, finite.
        step: real units per step of a quantized candidate.
        reference_step: of a quantized reference.

    Returns:
        The errors, and notes for a reader.
    """
    notes: list[str] = []
    soft = are_probabilities(reference, reference_step), are_probabilities(candidate, step)
    if soft == (True, False):
        candidate, step = softmax(candidate), None
        notes.append("the reference ends in softmax: errors are between probabilities")
    elif soft == (False, True):
        reference = softmax(reference)
        notes.append("the candidate ends in softmax: errors are between probabilities")
    elif soft == (True, True):
        notes.append("both models end in softmax: errors are between probabilities")
    difference = candidate - reference
    magnitude = np.abs(difference)
    largest, rmse = float(magnitude.max()), math.sqrt(float(np.mean(np.square(difference))))
    errors = LogitErrors(
        max_abs_error=largest,
        mean_abs_error=float(magnitude.mean()),
        mean_error=float(difference.mean()),
        rmse=rmse,
        sqnr_db=sqnr_db(reference, candidate),
        compared=int(difference.size),
        different=int(np.count_nonzero(difference)),
        step=step,
        max_error_steps=largest / step if step else None,
        rmse_steps=rmse / step if step else None,
        domain="probabilities" if any(soft) else "logits",
    )
    return errors, tuple(notes)
