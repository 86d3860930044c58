"""Errors of output values: in real units, in quantization steps, and as a signal-to-noise ratio."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class LogitErrors:
    """How far the candidate's output values are from the reference's.

    Attributes:
        max_abs_error: largest absolute difference, real units.
        mean_abs_error: mean absolute difference.
        mean_error: mean of candidate minus reference; far from 0 it is a bias.
        rmse: root of the mean squared difference.
        sqnr_db: ``10 log10(sum(reference^2) / sum((reference - candidate)^2))``; None where nothing differs
            or the reference is all zero.
        differing: how many values differ at all.
        step: real units per step of the candidate's output, None for float.
        max_steps: largest absolute difference in steps, None for float.
        rmse_steps: ``rmse`` in steps, None for float.
        domain: ``logits``, or ``probabilities`` where softmaxed values were compared.
    """

    max_abs_error: float
    mean_abs_error: float
    mean_error: float
    rmse: float
    sqnr_db: float | None
    differing: int
    step: float | None = None
    max_steps: float | None = None
    rmse_steps: float | None = None
    domain: str = "logits"


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
        differing=int(np.count_nonzero(difference)),
        step=step,
        max_steps=largest / step if step else None,
        rmse_steps=rmse / step if step else None,
        domain="probabilities" if any(soft) else "logits",
    )
    return errors, tuple(notes)
