"""Where two models part: their layers matched in order, and the error after each."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mnist_export.core.errors import InputError
from mnist_export.parity.layers.activations import Activation
from mnist_export.parity.layers.error import LayerError
from mnist_export.parity.layers.matching import Fit, align
from mnist_export.parity.logits import sqnr_db

# Root mean square error of a channel that a layer's own rounding explains; a sound int8 LeNet-5 stays under
# 1 step in every layer. What the layers before hand on comes on top, see `compare_layers`.
BUDGET_STEPS: Final = 2.0
BUDGET_SQNR_DB: Final = 30.0  # for tensors without steps; float16 weights give over 50
_RECOVERED_DB: Final = 12.0  # sound layers change the SQNR by a few dB, and no later layer undoes damage


@dataclass(frozen=True, kw_only=True)
class LayerDifference:
    """One layer of the candidate beside the layer of the reference that it stands for.

    Attributes:
        reference: the reference's layer.
        candidate: the candidate's layer or tensor.
        kind: the candidate's operator.
        max_abs_error: largest difference, real units, of what the candidate's range can hold.
        rmse: root mean square difference, real units.
        sqnr_db: decibels; None where nothing differs.
        differing: share of values that differ, fraction of 1.
        step: real units per step of the candidate's tensor, None for float.
        max_steps: largest difference in steps.
        rmse_steps: root mean square difference in steps.
        worst_channel: the channel that is furthest over, or least under, its budget.
        worst_channel_steps: that error in steps, None for float.
        clipped: share of the reference's values outside of the candidate's range.
        budget_steps: allowed ``worst_channel_steps``, with what earlier layers handed on; None for float.
        exceeds: whether the layer is over its budget.
    """

    reference: str
    candidate: str
    kind: str
    max_abs_error: float
    rmse: float
    sqnr_db: float | None
    differing: float
    step: float | None
    max_steps: float | None
    rmse_steps: float | None
    worst_channel: int
    worst_channel_steps: float | None
    clipped: float
    budget_steps: float | None
    exceeds: bool


@dataclass(frozen=True, kw_only=True)
class LayersResult:
    """All matched layers.

    Attributes:
        layers: in execution order.
        first: the first layer over its budget, None where all are within.
        unmatched: layers of the candidate that no layer of the reference fits.
        images: how many images the errors are from.
        why: one sentence.
    """

    layers: tuple[LayerDifference, ...]
    first: LayerDifference | None
    unmatched: tuple[str, ...]
    images: int
    why: str

    def errors(self) -> tuple[LayerError, ...]:
        """Errors by layer as a report lists them; the worst channel's error is what the budget is for."""
        return tuple(
            LayerError(
                name=layer.candidate,
                operator=layer.kind,
                max_error_steps=layer.max_steps,
                max_abs_error=layer.max_abs_error,
                sqnr_db=layer.sqnr_db,
                worst_channel_steps=layer.worst_channel_steps,
                budget_steps=layer.budget_steps,
                exceeds=layer.exceeds,
            )
            for layer in self.layers
        )


def compare_layers(
    reference: Sequence[Activation],
    candidate: Sequence[Activation],
    *,
    budget_steps: float = BUDGET_STEPS,
    budget_sqnr_db: float = BUDGET_SQNR_DB,
) -> LayersResult:
    """Match layers and measure what they differ by.

    Layers are matched in order, by shape (NCHW and NHWC are the same) and likeness (cosine), so that the
    sum of likenesses is largest; a convolution with a fused ReLU is thus matched with the ReLU. Where no
    shape fits, the forms of files that are rewritten for speed are tried (see `layouts`); they need a
    likeness of 0.8. A layer over its budget is not matched after all where the next match is better by 12 dB
    or more: damage is not undone, so the layer holds something else on the way to the same values.

    A channel's budget is ``budget_steps`` for the layer's own rounding, and on top the error that it would
    have if the two layers before kept their noise-to-signal ratio: ``rms(channel) * 10**(-SQNR / 20)``. A
    layer that only passes an error on is thus not the first to be named.

    Args:
        reference: from `activations_of`, of the same images.
        candidate: likewise.
        budget_steps: allowed root mean square error of a quantized layer's worst channel, in steps.
        budget_sqnr_db: least SQNR of a float layer.

    Raises:
        InputError: other numbers of images, or nothing that fits.
    """
    if not (0 < budget_steps < math.inf) or not math.isfinite(budget_sqnr_db):
        raise InputError(f"layers: expected a finite budget over 0, found {budget_steps}, {budget_sqnr_db}.")
    images = {len(activation.values) for activation in (*reference, *candidate)}
    if len(images) != 1:
        raise InputError(f"layers: expected the same images on both sides, found {sorted(images)} of them.")
    pairs = align(reference, candidate)
    if not pairs:
        raise InputError("layers: no layer of the candidate fits one of the reference. Are they one model?")
    budgets = {"budget_steps": budget_steps, "budget_sqnr_db": budget_sqnr_db}
    found = _differences(reference, candidate, pairs, **budgets)
    while (wrong := _undone(found)) is not None:
        del pairs[wrong]
        found = _differences(reference, candidate, pairs, **budgets)
    layers = tuple(found)
    matched = {j for _, j, _ in pairs}
    first = next((layer for layer in layers if layer.exceeds), None)
    return LayersResult(
        layers=layers,
        first=first,
        unmatched=tuple(c.name for j, c in enumerate(candidate) if j not in matched),
        images=images.pop(),
        why=_why(layers, first),
    )


def _differences(
    reference: Sequence[Activation],
    candidate: Sequence[Activation],
    pairs: Sequence[tuple[int, int, Fit]],
    **budgets: float,
) -> list[LayerDifference]:
    found: list[LayerDifference] = []
    for i, j, fit in pairs:
        ratios = [layer.sqnr_db for layer in found[-2:] if layer.sqnr_db is not None]
        carried = 10 ** (-min(ratios) / 20) if ratios else 0.0
        found.append(_difference(reference[i], candidate[j], fit, carried=carried, **budgets))
    return found


def _undone(found: Sequence[LayerDifference]) -> int | None:
    """The first layer over its budget whose error the next one does not have: it is another function."""
    for place, (layer, after) in enumerate(itertools.pairwise(found)):
        if not layer.exceeds or layer.sqnr_db is None:
            continue
        if after.sqnr_db is None or after.sqnr_db >= layer.sqnr_db + _RECOVERED_DB:
            return place
    return None


def _why(layers: Sequence[LayerDifference], first: LayerDifference | None) -> str:
    if all(layer.max_abs_error == 0 for layer in layers):
        return f"All {len(layers)} layers are equal."
    if first is None:
        return f"All {len(layers)} layers are within their budgets."
    name = f"'{first.candidate}' ({first.kind or 'layer'})"
    if first.worst_channel_steps is not None:
        return (
            f"The first layer over its budget is {name}: channel {first.worst_channel} is off by "
            f"{first.worst_channel_steps:.1f} steps (root mean square), {first.budget_steps:.1f} are allowed."
        )
    return f"The first layer over its budget is {name}: {first.sqnr_db:.1f} dB."


def _channel_axis(shape: tuple[int, ...]) -> int:
    """The last axis, but for images of (n, C, H, W), which have two equal sides at the end."""
    return 1 if len(shape) == 4 and shape[2] == shape[3] != shape[1] else len(shape) - 1


def _difference(
    reference: Activation,
    candidate: Activation,
    fit: Fit,
    *,
    budget_steps: float,
    budget_sqnr_db: float,
    carried: float,
) -> LayerDifference:
    wanted, values = fit.reference, fit.candidate
    clipped = 0.0
    if candidate.qrange is not None:
        # what lies outside of the range is saturation, a calibration's choice; count it apart
        low, high = candidate.qrange
        clipped = float(np.mean((wanted < low) | (wanted > high)))
        wanted = np.clip(wanted, low, high)
    step = candidate.step
    error = values - wanted
    channel = _channel_axis(error.shape)
    others = tuple(axis for axis in range(error.ndim) if axis != channel)
    errors = np.sqrt(np.mean(np.square(error), axis=others))
    allowed = carried * np.sqrt(np.mean(np.square(wanted), axis=others)) + budget_steps * (step or 0.0)
    worst = int((errors - allowed).argmax())
    rmse = math.sqrt(float(np.mean(np.square(error))))
    ratio = sqnr_db(wanted, values)
    over = errors[worst] > allowed[worst] if step else (ratio or math.inf) < budget_sqnr_db
    return LayerDifference(
        reference=reference.name,
        candidate=candidate.name,
        kind=candidate.kind or reference.kind,
        max_abs_error=float(np.abs(error).max()),
        rmse=rmse,
        sqnr_db=ratio,
        differing=float(np.mean(error != 0)),
        step=step,
        max_steps=float(np.abs(error).max()) / step if step else None,
        rmse_steps=rmse / step if step else None,
        worst_channel=worst,
        worst_channel_steps=float(errors[worst]) / step if step else None,
        clipped=clipped,
        budget_steps=float(allowed[worst]) / step if step else None,
        exceeds=bool(over),
    )
