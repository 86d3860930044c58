"""Which single-bit faults of dense weights an image shows, worked out from the file alone.

A convolution's weight meets every place of a map, so almost any image shows a change of it. A dense weight
meets one value: its fault shows only where that value is large, the unit is not clamped, the sum lies near
the border between two codes, and the layers behind let the step through to a logit. With ``a`` the unit's sum
and ``x`` the value less its zero point, a fault that adds ``d`` to the weight moves the sum by ``d x``; an
image shows it if that passes the nearest sum, above or below ``a``, from which on a logit changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.errors import MnistExportError
from mnist_export.parity.certificate.onnx import onnx_layers
from mnist_export.parity.certificate.rules import EIGHT_BITS, Linear
from mnist_export.parity.certificate.tflite import tflite_layers

if TYPE_CHECKING:
    from mnist_export.runtime.runners.runner import Runner

SAMPLE: Final = 20_000
_DENSE: Final = {"FULLY_CONNECTED", "Gemm", "MatMul"}
_STEPS: Final = np.array([1, 2, 3, 5, 12, 255], np.float32)
_COPIES: Final = 4
_ABOVE: Final = np.concatenate([_STEPS, -_STEPS])
_Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense:
    """One dense layer, in float32, which holds its integers closely enough for choosing images.

    Attributes:
        weights: (units, values).
        bias: (units,).
        multiplier: (units,), codes of the output per unit of the sum.
        source: the input's zero point.
        target: the output's zero point.
        low: smallest code that comes out.
        high: largest.
    """

    weights: _Floats
    bias: _Floats
    multiplier: _Floats
    source: float
    target: float
    low: float
    high: float

    def sums(self, codes: _Floats) -> _Floats:
        """Sums of (..., values) input codes."""
        found = (codes - np.float32(self.source)) @ self.weights.T + self.bias
        return np.asarray(found, np.float32)

    def codes(self, sums: _Floats) -> _Floats:
        """Output codes of (..., units) sums."""
        found = np.clip(np.rint(sums * self.multiplier) + self.target, self.low, self.high)
        return np.asarray(found, np.float32)


def dense_tail(runner: Runner) -> tuple[Dense, ...]:
    """The dense layers that a file ends in, each fed by the one before; empty where there are none.

    Args:
        runner: a .tflite or .onnx, open.
    """
    linear: list[Linear] = []
    content, label = getattr(runner, "content", b""), runner.label
    try:
        if runner.name == "litert":
            tflite_layers(content, label=label, linear=linear)
        elif runner.name == "onnxruntime":
            onnx_layers(content, label=label, linear=linear)
    except MnistExportError:  # what the certificate cannot read is chosen for without it
        return ()
    found: list[Linear] = []
    for layer in reversed(linear):
        behind = found[0] if found else None
        fits = len(layer.weights) == (behind.weights.shape[1] if behind else runner.num_classes)
        follows = behind is None or layer.target.is_same(behind.source)
        eight = {layer.source.dtype, layer.target.dtype} <= EIGHT_BITS
        if layer.operator not in _DENSE or not fits or not follows or not eight:
            break
        found.insert(0, layer)
    return tuple(_dense(layer) for layer in found)


def _dense(layer: Linear) -> Dense:
    low, high = layer.target.range()
    units = len(layer.weights)
    bias = layer.bias if layer.bias is not None else np.zeros(units)
    ratio = layer.source.scale * np.asarray(layer.weight_scales, np.float64) / layer.target.scale
    return Dense(
        weights=layer.weights.astype(np.float32),
        bias=bias.astype(np.float32),
        multiplier=np.broadcast_to(ratio, (units,)).astype(np.float32),
        source=float(layer.source.zero_point),
        target=float(layer.target.zero_point),
        low=float(low),
        high=float(high),
    )


class Faults:
    """A sample of single-bit faults of dense weights, drawn with a seed of its own."""

    def __init__(self, layers: Sequence[Dense], *, size: int = SAMPLE, seed: int = 0) -> None:
        """Draw them, every bit of every weight alike.

        Args:
            layers: from `dense_tail`, at least one.
            size: how many.
            seed: of the draw.
        """
        self.layers = tuple(layers)
        self.size = size
        rng = np.random.default_rng(seed)
        shares = np.array([layer.weights.size for layer in layers], np.float64)
        of = rng.choice(len(layers), size, p=shares / shares.sum())
        self._drawn: list[tuple[Any, ...]] = []
        for number, layer in enumerate(layers):
            places = np.flatnonzero(of == number)
            unit = rng.integers(0, len(layer.weights), len(places))
            value = rng.integers(0, layer.weights.shape[1], len(places))
            weight = layer.weights[unit, value].astype(np.int8)
            bit = np.left_shift(1, rng.integers(0, 8, len(places))).astype(np.uint8)
            change = (weight.view(np.uint8) ^ bit).view(np.int8).astype(np.float32) - weight
            self._drawn.append((places, unit, value, change))

    def cost(self) -> int:
        """Operations of `shown` for one image, about."""
        pairs = zip(self.layers, (*self.layers[1:], None), strict=True)
        return sum(
            len(_ABOVE)
            * len(a.weights)
            * (sum(x.weights.size for x in self.layers) if b is None else b.weights.size)
            for a, b in pairs
        )

    def shown(self, codes: _Floats) -> npt.NDArray[np.bool_]:
        """Which of the faults one image shows in its logits.

        Args:
            codes: of the first layer's input, (values,).
        """
        found = np.zeros(self.size, np.bool_)
        for number, (layer, (places, unit, value, change)) in enumerate(
            zip(self.layers, self._drawn, strict=True)
        ):
            sums = layer.sums(codes)
            above, below = self._borders(number, sums)
            moved = change * (codes[value] - layer.source)
            found[places] = (moved >= above[unit]) | (moved <= below[unit])
            codes = layer.codes(sums)
        return found

    def _borders(self, number: int, sums: _Floats) -> tuple[_Floats, _Floats]:
        """How far each unit's sum must rise, and fall, for a logit to change; infinite where none does."""
        layer, behind = self.layers[number], self.layers[number + 1 :]
        codes = layer.codes(sums)
        moved = np.clip(codes[:, None] + _ABOVE, layer.low, layer.high)
        steps = moved - codes[:, None]
        seen = steps != 0
        if behind:
            base = behind[0].sums(codes)
            logits, columns = _logits(base, behind), behind[0].weights.T
            size = fitting(_COPIES * len(_ABOVE) * base.nbytes, largest=len(codes))
            for start in range(0, len(codes), size):
                part = slice(start, start + size)
                changed = base + steps[part, :, None] * columns[part, None, :]
                seen[part] &= (_logits(changed, behind) != logits).any(axis=-1)
        half = np.where(_ABOVE > 0, -0.5, 0.5)
        border = (moved + half - layer.target) / layer.multiplier[:, None] - sums[:, None]
        above = np.where(seen & (_ABOVE > 0), border, np.inf).min(axis=1)
        below = np.where(seen & (_ABOVE < 0), border, -np.inf).max(axis=1)
        return above, below


def logits_of(layers: Sequence[Dense], codes: _Floats) -> _Floats:
    """Output codes of the last layer for (n, values) input codes of the first."""
    return _logits(layers[0].sums(codes), layers)


def _logits(sums: _Floats, layers: Sequence[Dense]) -> _Floats:
    codes = layers[0].codes(sums)
    for layer in layers[1:]:
        codes = layer.codes(layer.sums(codes))
    return codes
