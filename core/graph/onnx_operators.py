"""The table of ONNX operators that files are read with: what each does to codes, and where its scales stand.

What may run at all is for `runtime.foreign.onnx_check` to say. References: onnx/docs/Operators.md, and
onnxruntime/docs/ContribOperators.md (QLinearAdd, QGemm).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from mnist_export.core.graph.operator import Family


@dataclass(frozen=True, kw_only=True)
class OnnxOperator:
    """One ONNX operator.

    Attributes:
        kind: its name.
        family: what it is like.
        copies: each code of the result is a code of an input: nothing is computed.
        of_input: places of the first input's scale and zero point among the inputs, where they are there.
        of_output: likewise of the output's.
        parameters: places of inputs that are bounds, scales or zero points, not values.
    """

    kind: str
    family: Family = Family.OTHER
    copies: bool = False
    of_input: tuple[int, int] | None = None
    of_output: tuple[int, int] | None = None
    parameters: frozenset[int] = frozenset()


def _view(kind: str) -> OnnxOperator:
    return OnnxOperator(kind=kind, family=Family.VIEW, copies=True)


def _shape(kind: str) -> OnnxOperator:
    return OnnxOperator(kind=kind, family=Family.SHAPE)


def _integers(kind: str, family: Family, output: int) -> OnnxOperator:
    return OnnxOperator(kind=kind, family=family, of_input=(1, 2), of_output=(output, output + 1))


_ENTRIES: tuple[OnnxOperator, ...] = (
    _view("Reshape"),
    _view("Flatten"),
    _view("Identity"),
    _view("Squeeze"),
    _view("Unsqueeze"),
    OnnxOperator(kind="Dropout", family=Family.VIEW),  # a view unless it trains
    OnnxOperator(kind="Transpose", family=Family.MOVE, copies=True),
    OnnxOperator(kind="Concat", family=Family.MOVE, copies=True),
    OnnxOperator(kind="Slice", family=Family.MOVE, copies=True),
    OnnxOperator(kind="Tile", family=Family.MOVE, copies=True),
    OnnxOperator(kind="DepthToSpace", family=Family.MOVE, copies=True),
    OnnxOperator(kind="SpaceToDepth", family=Family.MOVE, copies=True),
    OnnxOperator(kind="ReduceMax", family=Family.REDUCTION, copies=True),
    OnnxOperator(kind="ReduceMin", family=Family.REDUCTION, copies=True),
    OnnxOperator(kind="Max", family=Family.EXTREME, copies=True),
    OnnxOperator(kind="Min", family=Family.EXTREME, copies=True),
    OnnxOperator(kind="Gather", family=Family.MOVE),
    OnnxOperator(kind="Pad", family=Family.MOVE, copies=True),
    OnnxOperator(kind="ReorderInput", family=Family.MOVE),  # ONNX Runtime's own, to and from its NCHWc layout
    OnnxOperator(kind="ReorderOutput", family=Family.MOVE),
    OnnxOperator(kind="MaxPool", family=Family.POOL, copies=True),
    OnnxOperator(kind="Conv", family=Family.CONVOLUTION),
    OnnxOperator(kind="Gemm", family=Family.DENSE),
    OnnxOperator(kind="MatMul", family=Family.DENSE),
    OnnxOperator(kind="Clip", family=Family.CLIP, parameters=frozenset({1, 2})),
    _shape("Shape"),
    _shape("Constant"),
    _shape("Cast"),
    OnnxOperator(
        kind="QuantizeLinear", family=Family.BOUNDARY, of_output=(1, 2), parameters=frozenset({1, 2})
    ),
    OnnxOperator(
        kind="DequantizeLinear", family=Family.BOUNDARY, of_input=(1, 2), parameters=frozenset({1, 2})
    ),
    _integers("QLinearConv", Family.CONVOLUTION, 6),
    _integers("QLinearMatMul", Family.DENSE, 6),
    _integers("QGemm", Family.DENSE, 7),
    _integers("QLinearAdd", Family.SUM, 6),
)

ONNX_OPERATORS: Final[Mapping[str, OnnxOperator]] = MappingProxyType({e.kind: e for e in _ENTRIES})
"""Every ONNX operator that something is known of, by its name."""


def onnx_operator(kind: str) -> OnnxOperator:
    """What is known of an operator; of an unknown one its name alone."""
    return ONNX_OPERATORS.get(kind) or OnnxOperator(kind=kind)


def onnx_kinds(*families: Family) -> frozenset[str]:
    """The operators of some families."""
    return frozenset(entry.kind for entry in _ENTRIES if entry.family in families)
