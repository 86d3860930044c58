"""What a certificate says of one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnist_export.parity.certificate.summary import LayerSummary
from mnist_export.quantize.exact.grid import FLOAT32_EVEN_INTEGERS, REDUCED_LIMIT


@dataclass(frozen=True, kw_only=True)
class CertifiedLayer:
    """What was found in one layer.

    Attributes:
        name: the layer's name in the file.
        operator: its operator.
        why: the first thing that breaks exactness, or ``""``.
        shifts: the exponent ``s`` of each channel's multiplier ``2**-s``; empty where nothing is scaled.
        bounds: largest absolute accumulator of each channel that any input can cause.
        weight_residues: the weights' residues modulo 4 that occur.
        bias_residues: the biases' residues modulo 4 that occur.
        largest_weight: largest magnitude of a weight.
        how: why nothing is rounded differently, of a layer without weights; ``""`` where codes are only moved
            or added.
    """

    name: str
    operator: str
    why: str = ""
    shifts: tuple[int, ...] = ()
    bounds: tuple[int, ...] = ()
    weight_residues: tuple[int, ...] = ()
    bias_residues: tuple[int, ...] = ()
    largest_weight: int = 0
    how: str = ""

    @property
    def holds(self) -> bool:
        """Whether the layer is exact."""
        return not self.why

    @property
    def accumulator_bound(self) -> int | None:
        """Largest bound over all channels, None for a layer without weights."""
        return max(self.bounds, default=None)

    @property
    def is_float32_exact(self) -> bool:
        """Whether float32 holds every partial sum, in any order, so that a float simulation is exact too."""
        return self.holds and max(self.bounds, default=0) <= FLOAT32_EVEN_INTEGERS

    @property
    def fits_16_bit_pairs(self) -> bool:
        """Whether two products fit 16 signed bits, as x86 kernels without VNNI need."""
        return self.largest_weight <= REDUCED_LIMIT

    @property
    def text(self) -> str:
        """The finding in a few words."""
        if self.why:
            return self.why
        if self.how:
            return self.how
        if not self.shifts:
            return "moves or adds integers of one scale: nothing is rounded"
        low, high = min(self.shifts), max(self.shifts)
        if high == 0:
            return (
                f"{len(self.shifts)} channels: sums are the codes themselves, |a| <= {self.accumulator_bound}"
            )
        shifts = str(low) if low == high else f"{low} to {high}"
        return (
            f"{len(self.shifts)} channels: shift {shifts}, weights 0 mod 4, biases 2 mod 4, "
            f"|a| <= {self.accumulator_bound}"
        )

    def summary(self) -> LayerSummary:
        """The finding as a report holds it."""
        return LayerSummary(
            name=self.name, holds=self.holds, accumulator_bound=self.accumulator_bound, text=self.text
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "name": self.name,
            "operator": self.operator,
            "holds": self.holds,
            "why": self.why,
            "how": self.how,
            "shifts": list(self.shifts),
            "accumulator_bounds": list(self.bounds),
            "accumulator_bound": self.accumulator_bound,
            "weight_residues_mod_4": list(self.weight_residues),
            "bias_residues_mod_4": list(self.bias_residues),
            "largest_weight": self.largest_weight,
            "float32_exact": self.is_float32_exact,
        }
