"""The pixel rule: how a raw 8-bit pixel becomes what a model's input tensor takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.parameters import command_words, parameters


@dataclass(frozen=True, kw_only=True)
class InputRange:
    """What pixel values 0 and 255 become for the Keras model, in the model's real units."""

    lo: float = 0.0
    hi: float = 1.0

    def __post_init__(self) -> None:
        """Refuse empty and non-finite ranges."""
        if not (np.isfinite(self.lo) and np.isfinite(self.hi)) or self.lo >= self.hi:
            raise InputError(
                f"`input_range`: expected finite LO,HI with LO < HI, found {self.lo},{self.hi}. "
                "Use 0,1 for x/255, -1,1 for x/127.5-1, 0,255 for raw pixels."
            )

    @classmethod
    def parse(cls, text: str) -> InputRange:
        """Read ``"LO,HI"``."""
        parts = text.split(",")
        try:
            lo, hi = (float(p) for p in parts)
        except ValueError:
            raise InputError(
                f"`input_range`: expected two numbers LO,HI, found '{text}'. Example: `input_range=\"0,1\"`"
            ) from None
        return cls(lo=lo, hi=hi)

    @property
    def span(self) -> tuple[float, float]:
        """The least and the largest value that a pixel can become."""
        return self.lo, self.hi

    def settings(self) -> dict[str, str]:
        """The parameters that state it, by name."""
        return self.settings_of(self.lo, self.hi)

    def parameters(self) -> str:
        """The parameters that state it, as a message names them."""
        return parameters(self.settings())

    def words(self) -> list[str]:
        """The options that state it on a command line."""
        return command_words(self.settings())

    @staticmethod
    def settings_of(lo: float, hi: float) -> dict[str, str]:
        """``input_range`` with two numbers, all of their digits."""
        return {"input_range": ",".join(repr(int(v)) if v == int(v) else repr(v) for v in (lo, hi))}

    def to_real(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Compute ``lo + pixel * (hi - lo) / 255`` in float32, of the same shape.

        For the default range this equals ``pixel / 255`` to the last bit.
        """
        values = pixels.astype(np.float32)
        if (self.lo, self.hi) == (0.0, 255.0):
            return values
        if self.lo == 0.0 and self.hi == 1.0:
            return values / np.float32(255.0)
        scale = np.float32((self.hi - self.lo) / 255.0)
        return (values * scale + np.float32(self.lo)).astype(np.float32)

    def params_int8(self) -> QuantParams:
        """Parameters under which the int8 input is exactly ``pixel - 128``.

        The scale is ``(hi - lo) / 255``; the zero point is ``-128 - lo / scale`` rounded half to
        even, so a range whose zero falls between two pixels is off by at most half a step.
        """
        scale = (self.hi - self.lo) / 255.0
        zero_point = int(np.clip(np.rint(-128 - self.lo / scale), -128, 127))
        return QuantParams.per_tensor(scale, zero_point)

    def rule(self, io: str) -> str:
        """One sentence a stranger can follow for an input tensor of type ``io``."""
        if io == "int8":
            return "int8 input = pixel - 128 (pixel is the raw 0..255 grey value)"
        if io == "uint8":
            return "uint8 input = pixel (the raw 0..255 grey value)"
        return f"{io} input = {self.lo:g} + pixel * {self.hi - self.lo:g} / 255 (pixel is 0..255)"
