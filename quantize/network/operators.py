"""What int8 quantization means for each operator, as TFLite's 8-bit specification has it.

Reference: https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one operator's tensors are quantized.

    Attributes:
        weight_axis: axis of per-channel scales in the weights (input 1), or None without weights.
        same_scale: inputs and output must share scale and zero point.
        output: fixed parameters of an int8 output, or None where calibration decides.
    """

    weight_axis: int | None = None
    same_scale: bool = False
    output: QuantParams | None = None


_SAME = Rule(same_scale=True)
_PROBABILITY = Rule(output=QuantParams.per_tensor(1 / 256, -128))

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "CONV_2D": Rule(weight_axis=0),
        "DEPTHWISE_CONV_2D": Rule(weight_axis=3),
        "FULLY_CONNECTED": Rule(weight_axis=0),
        "MAX_POOL_2D": _SAME,
        "AVERAGE_POOL_2D": _SAME,
        "RESHAPE": _SAME,
        "SQUEEZE": _SAME,
        "EXPAND_DIMS": _SAME,
        "TRANSPOSE": _SAME,
        "PAD": _SAME,
        "STRIDED_SLICE": _SAME,
        "CONCATENATION": _SAME,
        "DEPTH_TO_SPACE": _SAME,
        "GATHER": _SAME,
        "MIRROR_PAD": _SAME,
        "PACK": _SAME,
        "PADV2": _SAME,
        "RESIZE_NEAREST_NEIGHBOR": _SAME,
        "REVERSE_V2": _SAME,
        "SLICE": _SAME,
        "SPACE_TO_DEPTH": _SAME,
        "SPLIT": _SAME,
        "SPLIT_V": _SAME,
        "TILE": _SAME,
        "UNPACK": _SAME,
        "ADD": Rule(),
        "SUB": Rule(),
        "MUL": Rule(),
        "MAXIMUM": _SAME,
        "MINIMUM": _SAME,
        "MEAN": Rule(),
        "REDUCE_MAX": _SAME,
        "REDUCE_MIN": _SAME,
        "RELU": Rule(),
        "RELU6": Rule(),
        "LEAKY_RELU": Rule(),
        "ELU": Rule(),
        "LOGISTIC": _PROBABILITY,
        "SOFTMAX": _PROBABILITY,
        "TANH": Rule(output=QuantParams.per_tensor(1 / 128, 0)),
    }
)
"""Operators that run on integers; any other stays in float and the audit says so."""

INT8_ONLY = frozenset(
    {
        "DEPTH_TO_SPACE", "GATHER", "MIRROR_PAD", "PACK", "PADV2", "REDUCE_MIN", "RESIZE_NEAREST_NEIGHBOR",
        "REVERSE_V2", "SLICE", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "TILE", "UNPACK",
    }
)  # fmt: skip
"""Of these, operators that stay in float with 16-bit activations."""

WEIGHTED = frozenset(kind for kind, rule in RULES.items() if rule.weight_axis is not None)
"""Operators with weights in input 1 and a bias in input 2."""


def same_scale_groups(graph: Graph, dtype: npt.DTypeLike) -> dict[int, int]:
    """Which activations must share scale and zero point.

    Args:
        graph: of floats or of integers.
        dtype: of the activations that count.

    Returns:
        Each such activation's index to that of its group's representative.
    """
    parent = {i: i for i in graph.activations() if graph.tensors[i].dtype == dtype}

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for op in graph.ops:
        if op.kind in RULES and RULES[op.kind].same_scale:
            linked = [i for i in (*op.inputs, *op.outputs) if i in parent]
            for other in linked[1:]:
                parent[root(other)] = root(linked[0])
    return {i: root(i) for i in parent}
