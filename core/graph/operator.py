"""What the code may know of one operator; the entries stand in `operators`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph.ir import Activation


class Family(StrEnum):
    """Operators that the code treats alike."""

    CONVOLUTION = "convolution"
    """Multiplies windows by weights (input 1) and adds a bias (input 2)."""
    DENSE = "dense"
    """Multiplies rows by weights (input 1) and adds a bias (input 2)."""
    POOL = "pool"
    """Takes a window's maximum or mean, channel by channel."""
    REDUCTION = "reduction"
    """A mean, sum, product or extreme over axes that an input names."""
    VIEW = "view"
    """Gives the same values in the same order another shape."""
    MOVE = "move"
    """Puts values elsewhere: padding, slices, transposition, concatenation."""
    SUM = "sum"
    """Adds or subtracts two operands."""
    PRODUCT = "product"
    """Multiplies two operands."""
    EXTREME = "extreme"
    """The larger or the smaller of two operands."""
    CLIP = "clip"
    """Bounds values by fixed numbers, as a fused activation does."""
    FUNCTION = "function"
    """Another function of one value."""
    BINARY = "binary"
    """Another function of two operands: quotients, powers, comparisons, choices."""
    SHAPE = "shape"
    """Computes shapes, not values."""
    BOUNDARY = "boundary"
    """Changes between real values and codes."""
    OTHER = "other"
    """Anything else."""


_UNARY: Final = {Family.CLIP, Family.FUNCTION}
_ELEMENTWISE: Final = {*_UNARY, Family.SUM, Family.PRODUCT, Family.EXTREME, Family.BINARY}


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator: its semantics, its integer form and its names in the formats.

    Attributes:
        kind: the TFLite builtin operator's name.
        family: what it is like.
        integers: whether TFLite's 8-bit specification has a form of it that is used here.
        int8_only: that form is not there for 16-bit activations.
        weight_axis: axis of the output channels, and of their scales, in the weights.
        same_scale: an integer form's inputs and output share scale and zero point.
        output: fixed parameters of an int8 output, or None where calibration decides.
        copies: with one scale, each code of the result is a code of an input: nothing is computed.
        averages: it gives means.
        passes_scale: ``f(s * x) = s * f(x)`` for a positive s a channel.
        passes_shift: ``f(x + t) = f(x) + t`` for a t a channel, where nothing is padded.
        idle_code: the int8 operand that leaves the other one as it is.
        activation: the fused activation that does the same.
        onnx: the ONNX operator that takes the same operands and no attributes.
        int8_version: the lowest TFLite version whose kernels take int8.
        int16_version: likewise for int16.
    """

    kind: str
    family: Family = Family.OTHER
    integers: bool = False
    int8_only: bool = False
    weight_axis: int | None = None
    same_scale: bool = False
    output: QuantParams | None = None
    copies: bool = False
    averages: bool = False
    passes_scale: bool = False
    passes_shift: bool = False
    idle_code: int | None = None
    activation: Activation | None = None
    onnx: str = ""
    int8_version: int = 1
    int16_version: int = 1

    def __post_init__(self) -> None:
        """Refuse facts that contradict one another.

        Raises:
            ValueError: they do.
        """
        if (self.family in {Family.CONVOLUTION, Family.DENSE}) != self.has_weights:
            raise ValueError(f"{self.kind}: convolutions and dense layers have a weight axis, and no others")
        if self.output is not None and self.same_scale:
            raise ValueError(f"{self.kind}: expected fixed parameters or its input's, found both")

    @property
    def has_weights(self) -> bool:
        """Whether input 1 holds weights and input 2 a bias."""
        return self.weight_axis is not None

    @property
    def elementwise(self) -> bool:
        """Whether each value of the result depends on the operands' values at its place alone."""
        return self.family in _ELEMENTWISE

    @property
    def unary(self) -> bool:
        """Whether it is a function of one value."""
        return self.family in _UNARY
