"""The rules of the certificate, over layers described alike for every format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.parity.certificate.layer import CertifiedLayer
from mnist_export.quantize.exact.grid import (
    BIAS_RESIDUE,
    FLOAT32_INTEGERS,
    MAX_SATURATED_SHIFT,
    MAX_SHIFT,
    MIN_SHIFT,
    WEIGHT_STEP,
    accumulator_bounds,
    exponent_of,
)
from mnist_export.quantize.exact.reals import Reals
from mnist_export.quantize.exact.tables import CODES, is_whole

EIGHT_BITS: Final = {np.dtype(np.int8), np.dtype(np.uint8)}
_INT32_END: Final = 2**31
_COPY_END: Final = 2**24
"""Up to here float32 holds a sum, and fixed-point kernels can double it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Codes:
    """How an activation's integers stand for real values.

    Attributes:
        scale: real units per step, as the file stores it.
        zero_point: the code of real 0.
        dtype: int8 or uint8, or another type, which no rule accepts.
    """

    scale: float
    zero_point: int
    dtype: np.dtype[Any]

    def range(self) -> tuple[int, int]:
        """Smallest and largest code."""
        info = np.iinfo(self.dtype)
        return int(info.min), int(info.max)

    def is_same(self, other: Codes) -> bool:
        """Whether moving a code between the two changes nothing: one scale, zero points alike."""
        return (
            self.scale == other.scale
            and self.zero_point - self.range()[0] == other.zero_point - other.range()[0]
            and {self.dtype, other.dtype} <= EIGHT_BITS
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """A convolution or a dense layer.

    Attributes:
        name: the layer's name.
        operator: its operator.
        source: its input's codes.
        target: its output's codes.
        weights: integers of shape (channels, products).
        weight_zero_point: 0 on the grid.
        weight_scales: of shape (channels,).
        bias: integers of shape (channels,), or None.
        bias_scales: of shape (channels,), or None where the format fixes them.
        ceiling: real value at which a fused activation clamps, or None.
    """

    name: str
    operator: str
    source: Codes
    target: Codes
    weights: npt.NDArray[np.int64]
    weight_zero_point: int
    weight_scales: npt.NDArray[np.float32]
    bias: npt.NDArray[np.int64] | None
    bias_scales: npt.NDArray[np.float32] | None = None
    ceiling: float | None = None


def broken(name: str, operator: str, why: str) -> CertifiedLayer:
    """A layer that is not exact."""
    return CertifiedLayer(name=name, operator=operator, why=why)


def certify_moved(name: str, operator: str, source: list[Codes], target: Codes) -> CertifiedLayer:
    """A layer that only moves codes: all its tensors must share scale and zero point."""
    for codes in source:
        if not codes.is_same(target):
            return broken(
                name, operator,
                f"changes scale or zero point ({codes.scale:g}, {codes.zero_point} to {target.scale:g}, "
                f"{target.zero_point}), which kernels round differently",
            )  # fmt: skip
    return CertifiedLayer(name=name, operator=operator)


def certify_sum(
    name: str, operator: str, source: list[Codes], target: Codes, ceiling: float | None
) -> CertifiedLayer:
    """An addition or a difference: with one power-of-two scale it adds integers and clamps."""
    if any(codes.scale != target.scale for codes in source):
        scales = ", ".join(f"{codes.scale:g}" for codes in source)
        return broken(name, operator, f"adds scales {scales} into {target.scale:g}; expected one scale")
    if exponent_of(target.scale) is None:
        return broken(name, operator, f"has the scale {target.scale:g}, which is no power of two")
    if not {codes.dtype for codes in (*source, target)} <= EIGHT_BITS:
        return broken(name, operator, "holds activations of other than 8 bits")
    return CertifiedLayer(name=name, operator=operator, why=_off_ceiling(target, ceiling))


def whole_numbers(name: str, operator: str) -> CertifiedLayer:
    """A layer that finds a place in a table."""
    return CertifiedLayer(name=name, operator=operator, how="whole numbers stay what they are")


def certify_real(name: str, operator: str, values: Reals | None) -> CertifiedLayer:
    """A layer in float32 between codes; what matters is what its values are rounded to."""
    if values is None:
        return broken(name, operator, "computes float32 values between codes that cannot be followed")
    error = "all of them exact" if values.is_exact else f"off by at most {float(values.error):.2g}"
    return CertifiedLayer(name=name, operator=operator, how=f"float32 values between codes, {error}")


def certify_lookup(
    name: str, operator: str, table: npt.NDArray[Any], places: tuple[int, int] | None
) -> CertifiedLayer:
    """A table of codes: its entries are moved.

    Args:
        name: the layer's name.
        operator: its operator.
        table: integers of 8 bits, one-dimensional.
        places: least and greatest place that is looked up; None where they are no code's.
    """
    if places is None:
        return broken(name, operator, "gathers places that are not an 8-bit code")
    if table.dtype not in EIGHT_BITS or table.ndim != 1:
        return broken(
            name, operator, f"gathers from a constant of {table.dtype}, expected a row of 8-bit codes"
        )
    if places[0] < 0 or places[1] >= table.size:
        return broken(name, operator, f"gathers places {places[0]} to {places[1]} of {table.size}")
    signed = (table.astype(np.int16) - (128 if table.dtype == np.uint8 else 0)).astype(np.int8)
    if not is_whole(signed):
        return broken(name, operator, "holds a table that its CRC-32 does not fit: an entry was changed")
    checked = ", checked by their CRC-32" if table.size > CODES else ""
    return CertifiedLayer(name=name, operator=operator, how=f"a table of {CODES} codes{checked}")


def certify_rounded(name: str, operator: str, values: Reals, target: Codes) -> CertifiedLayer:
    """A quantization of float32 values: none may be so near a tie that kernels could part."""
    if target.dtype not in EIGHT_BITS:
        return broken(name, operator, f"has an output of type {target.dtype}, expected 8 bits")
    if not (np.isfinite(target.scale) and target.scale > 0):
        return broken(name, operator, f"has the scale {target.scale:g}, expected a finite one above 0")
    margin = float(values.margin(target.scale))
    if margin <= 0:
        return broken(
            name, operator, "rounds float32 values that come so near a tie that kernels round differently"
        )
    return CertifiedLayer(
        name=name, operator=operator, how=f"float32 values that keep {margin:.2g} of a step from every tie"
    )


def certify_linear(layer: Linear) -> CertifiedLayer:
    """A layer with weights: every rule of the grid, channel by channel."""
    why = _wrong_numbers(layer)
    if why or layer.bias is None:
        return broken(layer.name, layer.operator, why or "has no bias, which must be 2 mod 4")
    shifts = _shifts(layer)
    if isinstance(shifts, str):
        return broken(layer.name, layer.operator, shifts)
    low, high = layer.source.range()
    lo, hi = accumulator_bounds(
        layer.weights.astype(np.int8), layer.bias.astype(np.int32),
        low - layer.source.zero_point, high - layer.source.zero_point,
    )  # fmt: skip
    bounds = np.maximum(np.abs(lo), np.abs(hi))
    return CertifiedLayer(
        name=layer.name,
        operator=layer.operator,
        why=_first_offence(layer, shifts, bounds) or _off_ceiling(layer.target, layer.ceiling),
        shifts=tuple(shifts.tolist()),
        bounds=tuple(bounds.tolist()),
        weight_residues=tuple(np.unique(layer.weights % WEIGHT_STEP).tolist()),
        bias_residues=tuple(np.unique(layer.bias % WEIGHT_STEP).tolist()),
        largest_weight=int(np.abs(layer.weights).max(initial=0)),
    )


def _wrong_numbers(layer: Linear) -> str:
    for what, codes in (("input", layer.source), ("output", layer.target)):
        if codes.dtype not in EIGHT_BITS:
            return f"has an {what} of type {codes.dtype}, expected 8 bits"
        if exponent_of(codes.scale) is None:
            return f"has the {what} scale {codes.scale:g}, which is no power of two"
        low, high = codes.range()
        if not low <= codes.zero_point <= high:
            return f"has the {what} zero point {codes.zero_point}, outside of its type"
    if layer.weight_zero_point != 0:
        return f"has weights with the zero point {layer.weight_zero_point}, expected 0"
    if np.abs(layer.weights).max(initial=0) > 127:
        return f"has a weight of {np.abs(layer.weights).max()}, expected at most 127"
    return ""


def _shifts(layer: Linear) -> npt.NDArray[np.int64] | str:
    exponents = [exponent_of(float(scale)) for scale in layer.weight_scales]
    for channel, (scale, exponent) in enumerate(zip(layer.weight_scales, exponents, strict=True)):
        if exponent is None:
            return f"has the weight scale {scale:g} in channel {channel}, which is no power of two"
    source, target = exponent_of(layer.source.scale), exponent_of(layer.target.scale)
    if source is None or target is None:
        return "has a scale that is no power of two"
    weights = np.broadcast_to(np.array(exponents, np.int64), (len(layer.weights),))
    if layer.bias_scales is not None:
        expected = np.ldexp(1.0, source + weights)
        wrong = np.flatnonzero(np.broadcast_to(layer.bias_scales, expected.shape) != expected)
        if wrong.size:
            return f"has a bias scale in channel {wrong[0]} that is not input scale times weight scale"
    return target - source - weights


def _first_offence(layer: Linear, shifts: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64]) -> str:
    """The first channel that breaks a rule, and how."""
    bias = layer.bias if layer.bias is not None else np.zeros(len(shifts), np.int64)
    for channel, (shift, bound) in enumerate(zip(shifts.tolist(), bounds.tolist(), strict=True)):
        row = layer.weights[channel]
        off = np.flatnonzero(row % WEIGHT_STEP)
        if shift == 0 and bound < _COPY_END:
            continue  # sums are codes already: nothing is rounded, whatever their residue
        if not MIN_SHIFT <= shift <= MAX_SHIFT:
            return f"has the multiplier 2^-{shift} in channel {channel}, expected {MIN_SHIFT} to {MAX_SHIFT}"
        if off.size:
            place = int(off[0])
            return f"has the weight {row[place]} at place {place} of channel {channel}, no multiple of 4"
        if bias[channel] % WEIGHT_STEP != BIAS_RESIDUE:
            return f"has the bias {bias[channel]} in channel {channel}, expected 2 mod 4"
        if bound + (1 << (shift - 1)) >= _INT32_END:
            return f"can reach the sum {bound} in channel {channel}, which overflows 32 bits"
        if shift > MAX_SATURATED_SHIFT and bound > FLOAT32_INTEGERS:
            return f"can reach the sum {bound} in channel {channel} with the shift {shift}: float32 rounds it"
    return ""


def _off_ceiling(target: Codes, ceiling: float | None) -> str:
    if ceiling is None or target.dtype not in EIGHT_BITS:
        return ""
    steps = ceiling / target.scale
    if steps == round(steps) or steps >= target.range()[1] - target.zero_point:
        return ""
    return f"clamps at {ceiling:g}, which is no whole number of steps of {target.scale:g}"
