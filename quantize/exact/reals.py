"""Values that a stretch of float32 operators between codes can have, and whether rounding them can differ.

Dequantized codes are whole multiples of a scale. Products, sums and means of them are again values on a few
lattices ``offset + k * unit``, which rational arithmetic follows exactly; beside them goes a bound of what
float32 may err, in any order of operations. When such values are quantized, kernels can only disagree near
halves of a step (ties round to even here, away from zero there). Where every lattice keeps a distance from
them that is greater than the error, all kernels give the same code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any, Final

import numpy as np
import numpy.typing as npt

MAX_LATTICES: Final = 4096
_ULP: Final = Fraction(1, 2**23)
"""Relative error of one float32 operation, and twice that for kernels that divide by a reciprocal."""
_SIGNIFICANT: Final = 24
"""Bits that float32 holds."""
_EXACT: Final = 2**_SIGNIFICANT


@dataclass(frozen=True, order=True)
class Lattice:
    """The values ``offset + k * unit`` for whole ``k``; a unit of 0 is the offset alone."""

    unit: Fraction
    offset: Fraction = Fraction(0)

    def distance(self, step: Fraction) -> Fraction:
        """How near its values come to an odd multiple of half a step, in steps."""
        half = Fraction(1, 2) - self.offset / step
        if self.unit == 0:
            return abs(half - round(half))
        # multiples of unit / step, modulo 1, are all multiples of 1 / denominator
        count = (self.unit / step).denominator
        return abs(half * count - round(half * count)) / count


@dataclass(frozen=True, kw_only=True)
class Reals:
    """What is known of a tensor of float32.

    Attributes:
        lattices: on one of which each value lies, but for the error; never empty.
        bound: largest magnitude.
        error: largest difference between float32's value and the exact one.
    """

    lattices: tuple[Lattice, ...]
    bound: Fraction
    error: Fraction = Fraction(0)

    @property
    def step(self) -> Fraction:
        """A number of which every value is a whole multiple."""
        step = Fraction(0)
        for lattice in self.lattices:
            step = _common(step, _common(lattice.unit, lattice.offset))
        return step

    @property
    def is_exact(self) -> bool:
        """Whether float32 holds every value."""
        step = self.step
        return not self.error and (step == 0 or (_is_power(step) and self.bound <= step * _EXACT))

    def margin(self, scale: float) -> Fraction:
        """Distance from the nearest tie less what float32 may err, in steps of a scale.

        Args:
            scale: of the codes that the values are quantized to, a finite number above 0.
        """
        step = Fraction(scale)
        nearest = min(lattice.distance(step) for lattice in self.lattices)
        division = Fraction(0) if _is_power(step) else 256 * _ULP
        return nearest - self.error / step - division


def dequantized(scale: float, zero_point: int, lo: int, hi: int) -> Reals | None:
    """Codes from ``lo`` to ``hi`` times a scale; None where that is no finite number above 0."""
    if not (np.isfinite(scale) and scale > 0):
        return None
    unit = Fraction(scale)
    bound = unit * max(abs(lo - zero_point), abs(hi - zero_point))
    return _rounded(Reals(lattices=(Lattice(unit),), bound=bound))


def constants(values: npt.NDArray[Any]) -> Reals | None:
    """The values of a constant; None where it has too many different ones, or one that is not finite."""
    found = np.unique(values)
    if not found.size or found.size > MAX_LATTICES or not np.all(np.isfinite(found)):
        return None
    points = tuple(Lattice(Fraction(0), Fraction(float(value))) for value in found)
    return Reals(lattices=points, bound=max(abs(point.offset) for point in points))


def product(first: Reals, second: Reals) -> Reals | None:
    """Products of two tensors' values; None where they lie on no few lattices."""
    if len(first.lattices) * len(second.lattices) > MAX_LATTICES:
        return None
    made = set()
    for a in first.lattices:
        for b in second.lattices:
            if a.unit and b.unit and (a.offset or b.offset):
                return None
            unit = a.unit * b.unit or a.unit * b.offset or b.unit * a.offset
            made.add(Lattice(abs(unit), a.offset * b.offset))
    error = first.bound * second.error + second.bound * first.error + first.error * second.error
    return _few(made, first.bound * second.bound, error)


def total(first: Reals, second: Reals, *, sign: int = 1) -> Reals | None:
    """Sums (or differences) of two tensors' values; None where they lie on no few lattices."""
    if len(first.lattices) * len(second.lattices) > MAX_LATTICES:
        return None
    made = {
        Lattice(_common(a.unit, b.unit), a.offset + sign * b.offset)
        for a in first.lattices
        for b in second.lattices
    }
    return _few(made, first.bound + second.bound, first.error + second.error)


def summed(values: Reals, count: int) -> Reals | None:
    """Sums of ``count`` values each; None where they lie on no few lattices."""
    if len(values.lattices) != 1:
        return None
    (only,) = values.lattices
    many = Reals(
        lattices=(Lattice(only.unit, only.offset * count),),
        bound=values.bound * count,
        error=values.error * count,
    )
    return many if many.is_exact else _with_error(many, many.bound * _ULP * count)


def averaged(values: Reals, counts: Iterable[int]) -> Reals | None:
    """Means of as many values as one of ``counts`` says; None where they lie on no few lattices."""
    counts = sorted(set(counts))
    if not counts or len(counts) > MAX_LATTICES:
        return None
    sums = [(summed(values, count), count) for count in counts]
    made: set[Lattice] = set()
    error = Fraction(0)
    for many, count in sums:
        if many is None:
            return None
        made |= {Lattice(lattice.unit / count, lattice.offset / count) for lattice in many.lattices}
        error = max(error, many.error / count)
    return _few(made, values.bound, error + values.bound * _ULP)


def clipped(values: Reals, lo: float, hi: float | None) -> Reals:
    """Values bounded by a fused activation."""
    ends = {Lattice(Fraction(0), Fraction(end)) for end in (lo, hi) if end is not None}
    bound = values.bound if hi is None else max(abs(Fraction(lo)), abs(Fraction(hi)))
    kept = {*values.lattices, *ends}
    return Reals(lattices=tuple(sorted(kept)), bound=max(bound, abs(Fraction(lo))), error=values.error)


def nudge(values: Reals, scale: float) -> float | None:
    """What to add to values so that none is near a tie; None where nothing helps.

    Args:
        values: before they are quantized.
        scale: of the codes, a power of two.

    Returns:
        0 where all values are codes already, so that nothing is rounded at all.
    """
    step = Fraction(scale)
    if values.margin(scale) >= Fraction(1, 4):
        return 0.0
    finest = lcm(*((lattice.unit / step).denominator for lattice in values.lattices))
    best, most = None, Fraction(0)
    for halvings in range(2, 2 + min((4 * finest).bit_length(), _SIGNIFICANT)):
        extra = step / 2**halvings
        moved = total(values, _one(extra))
        margin = moved.margin(scale) if moved is not None else Fraction(0)
        if margin > most:
            best, most = extra, margin
    return None if best is None else float(best)


def _one(value: Fraction) -> Reals:
    return Reals(lattices=(Lattice(Fraction(0), value),), bound=abs(value))


def _few(made: set[Lattice], bound: Fraction, error: Fraction) -> Reals | None:
    if len(made) > MAX_LATTICES:
        return None
    return _rounded(Reals(lattices=tuple(sorted(made)), bound=bound, error=error))


def _rounded(values: Reals) -> Reals:
    """With the rounding of one float32 operation, where there is any."""
    return values if values.is_exact else _with_error(values, values.bound * _ULP)


def _with_error(values: Reals, error: Fraction) -> Reals:
    return Reals(lattices=values.lattices, bound=values.bound, error=values.error + error)


def _common(first: Fraction, second: Fraction) -> Fraction:
    """The greatest number of which both are whole multiples."""
    from math import gcd

    below = lcm(first.denominator, second.denominator)
    return Fraction(gcd(int(first * below), int(second * below)), below)


def _is_power(value: Fraction) -> bool:
    return (
        value > 0
        and (value.numerator & (value.numerator - 1)) == 0
        and (value.denominator & (value.denominator - 1)) == 0
    )
