"""The table of operators: one entry each, and everything that the code knows of an operator is in it.

A new operator is an entry here, and kernels where it needs ones of its own: in `export.onnx_ops` for ONNX, in
`quantize.exact.arithmetic` and `export.c_kernels` for the exact form. An elementwise operator that ONNX has
needs none: ``onnx`` names it.

References: names, tensorflow/lite/schema/schema.fbs; versions,
tensorflow/compiler/mlir/lite/tools/versioning/op_version.cc; int8 forms,
https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph.ir import Activation
from mnist_export.core.graph.operator import Family, Operator

_PROBABILITY: Final = QuantParams.per_tensor(1 / 256, -128)


def _weighted(kind: str, family: Family, axis: int, **facts: Any) -> Operator:
    return Operator(kind=kind, family=family, integers=True, weight_axis=axis, **facts)


def _view(kind: str) -> Operator:
    return Operator(
        kind=kind, family=Family.VIEW, integers=True, same_scale=True, copies=True,
        passes_scale=True, passes_shift=True,
    )  # fmt: skip


def _move(kind: str, *, copies: bool = True, **facts: Any) -> Operator:
    return Operator(kind=kind, family=Family.MOVE, integers=True, same_scale=True, copies=copies, **facts)


def _function(kind: str, onnx: str = "", **facts: Any) -> Operator:
    return Operator(kind=kind, family=Family.FUNCTION, onnx=onnx, **facts)


def _clip(kind: str, activation: Activation | None = None, **facts: Any) -> Operator:
    return Operator(kind=kind, family=Family.CLIP, activation=activation, **facts)


def _binary(kind: str, onnx: str = "") -> Operator:
    return Operator(kind=kind, family=Family.BINARY, onnx=onnx)


_ENTRIES: tuple[Operator, ...] = (
    _weighted("CONV_2D", Family.CONVOLUTION, 0, int8_version=3, int16_version=4),
    _weighted(
        "DEPTHWISE_CONV_2D", Family.CONVOLUTION, 3, int8_version=3, int16_version=5,
    ),
    _weighted("FULLY_CONNECTED", Family.DENSE, 0, int8_version=4, int16_version=7),
    Operator(
        kind="MAX_POOL_2D", family=Family.POOL, integers=True, same_scale=True, copies=True,
        passes_scale=True, passes_shift=True, int8_version=2, int16_version=3,
    ),
    Operator(
        kind="AVERAGE_POOL_2D", family=Family.POOL, integers=True, same_scale=True, averages=True,
        passes_scale=True, passes_shift=True, int8_version=2, int16_version=3,
    ),
    Operator(
        kind="MEAN", family=Family.REDUCTION, integers=True, averages=True,
        passes_scale=True, passes_shift=True, int8_version=2, int16_version=3,
    ),
    Operator(
        kind="REDUCE_MAX", family=Family.REDUCTION, integers=True, same_scale=True, copies=True,
        passes_scale=True, passes_shift=True, int8_version=2,
    ),
    Operator(
        kind="REDUCE_MIN", family=Family.REDUCTION, integers=True, int8_only=True, same_scale=True,
        copies=True, passes_scale=True, passes_shift=True, int8_version=2,
    ),
    Operator(kind="REDUCE_PROD", family=Family.REDUCTION),
    Operator(kind="SUM", family=Family.REDUCTION, integers=True, int8_only=True, int8_version=2),
    Operator(kind="ARG_MAX", family=Family.REDUCTION),
    Operator(kind="ARG_MIN", family=Family.REDUCTION),
    _view("RESHAPE"),
    _view("SQUEEZE"),
    _view("EXPAND_DIMS"),
    _move("PAD", passes_scale=True, int8_version=2, int16_version=4),
    _move("TRANSPOSE", int8_version=2, int16_version=4),
    _move("STRIDED_SLICE", int8_version=2, int16_version=4),
    _move("CONCATENATION", int8_version=2, int16_version=3),
    _move("DEPTH_TO_SPACE", int8_only=True, int8_version=2),
    _move("SPACE_TO_DEPTH", int8_only=True, int8_version=2),
    _move("GATHER", int8_only=True, int8_version=2),
    _move("MIRROR_PAD", int8_only=True, int8_version=2),
    _move("PADV2", int8_only=True, int8_version=2),
    _move("PACK", int8_only=True, int8_version=2),
    _move("UNPACK", int8_only=True, int8_version=2),
    _move("SLICE", int8_only=True, int8_version=2),
    _move("SPLIT", int8_only=True, int8_version=2),
    _move("SPLIT_V", int8_only=True, int8_version=2),
    _move("REVERSE_V2", int8_only=True),
    _move("TILE", int8_only=True),
    _move("RESIZE_NEAREST_NEIGHBOR", int8_only=True, int8_version=2),
    Operator(kind="ADD", family=Family.SUM, integers=True, onnx="Add", int8_version=2, int16_version=2),
    Operator(kind="SUB", family=Family.SUM, integers=True, onnx="Sub", int8_version=2, int16_version=5),
    Operator(kind="MUL", family=Family.PRODUCT, integers=True, onnx="Mul", int8_version=2, int16_version=4),
    Operator(
        kind="MAXIMUM", family=Family.EXTREME, integers=True, same_scale=True, copies=True,
        idle_code=-128, int8_version=2,
    ),
    Operator(
        kind="MINIMUM", family=Family.EXTREME, integers=True, same_scale=True, copies=True,
        idle_code=127, int8_version=2,
    ),
    _clip(
        "RELU", Activation.RELU, integers=True, passes_scale=True, onnx="Relu",
        int8_version=2, int16_version=3,
    ),
    _clip("RELU6", Activation.RELU6, integers=True, int8_version=2, int16_version=3),
    _clip("RELU_N1_TO_1", Activation.RELU_N1_TO_1),
    _clip("RELU_0_TO_1"),
    _function("LEAKY_RELU", integers=True, passes_scale=True, int8_version=2),
    _function("ELU", integers=True),
    _function("LOGISTIC", "Sigmoid", integers=True, output=_PROBABILITY, int8_version=2),
    _function(
        "TANH", "Tanh", integers=True, output=QuantParams.per_tensor(1 / 128, 0), int8_version=2,
    ),
    _function("GELU"),
    _function("HARD_SWISH"),
    _function("ABS", "Abs"),
    _function("NEG", "Neg"),
    _function("EXP", "Exp"),
    _function("LOG", "Log"),
    _function("SQRT", "Sqrt"),
    _function("RSQRT"),
    _function("SQUARE"),
    _function("SIN", "Sin"),
    _function("COS", "Cos"),
    _function("FLOOR", "Floor"),
    _function("CEIL", "Ceil"),
    _function("ROUND", "Round"),
    _function("SIGN", "Sign"),
    _function("LOGICAL_NOT", "Not"),
    Operator(kind="PRELU", onnx="PRelu"),  # slopes of their own a channel or a pixel
    Operator(kind="LOG_SOFTMAX"),
    Operator(kind="L2_NORMALIZATION"),
    Operator(kind="CUMSUM"),
    Operator(kind="BATCH_MATMUL"),
    Operator(
        kind="RESIZE_BILINEAR", integers=True, int8_only=True, same_scale=True, passes_scale=True,
        passes_shift=True, int8_version=2,
    ),
    Operator(kind="CAST"),
    Operator(kind="SOFTMAX", integers=True, output=_PROBABILITY, int8_version=2, int16_version=3),
    _binary("DIV", "Div"),
    _binary("POW", "Pow"),
    _binary("SQUARED_DIFFERENCE"),
    _binary("FLOOR_DIV"),
    _binary("LOGICAL_AND", "And"),
    _binary("LOGICAL_OR", "Or"),
    _binary("EQUAL", "Equal"),
    _binary("NOT_EQUAL"),
    _binary("GREATER", "Greater"),
    _binary("GREATER_EQUAL", "GreaterOrEqual"),
    _binary("LESS", "Less"),
    _binary("LESS_EQUAL", "LessOrEqual"),
    _binary("SELECT"),
    _binary("SELECT_V2"),
    Operator(kind="SHAPE", family=Family.SHAPE),
    Operator(kind="QUANTIZE", family=Family.BOUNDARY, int16_version=2),
    Operator(kind="DEQUANTIZE", family=Family.BOUNDARY, int8_version=2, int16_version=3),
)  # fmt: skip

_TABLE: Final[dict[str, Operator]] = {entry.kind: entry for entry in _ENTRIES}

OPERATORS: Final[Mapping[str, Operator]] = MappingProxyType(_TABLE)
"""Every operator that something is known of, by its kind."""


def operator(kind: str) -> Operator:
    """What is known of an operator; of an unknown one its name alone.

    Args:
        kind: the TFLite builtin operator's name.
    """
    return _TABLE.get(kind) or Operator(kind=kind)


def family(kind: str) -> Family:
    """An operator's family; `Family.OTHER` for an unknown one."""
    return operator(kind).family


def kinds(*families: Family) -> frozenset[str]:
    """The operators of some families."""
    return frozenset(entry.kind for entry in _TABLE.values() if entry.family in families)


@contextlib.contextmanager
def added(entry: Operator) -> Iterator[Operator]:
    """Know one more operator for a while.

    Raises:
        ValueError: there is an entry of that kind.
    """
    if entry.kind in _TABLE:
        raise ValueError(f"the operator {entry.kind} has an entry")
    _TABLE[entry.kind] = entry
    try:
        yield entry
    finally:
        del _TABLE[entry.kind]
