"""Tables of the operators that a runtime has, and what is wrong with a graph that needs others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Op

_NAMED: Final = 6
_OF_TFLM: Final = """
ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D
DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL FLOOR
FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION
L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM
MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE
REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2
ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE
SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV
UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
"""
_OF_ETHOS_U: Final = """
ABS ADD ARG_MAX AVERAGE_POOL_2D BATCH_MATMUL CONCATENATION CONV_2D DEPTHWISE_CONV_2D ELU EXP EXPAND_DIMS
FULLY_CONNECTED GELU HARD_SWISH LEAKY_RELU LOG LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL
NEG PACK PAD PADV2 PRELU QUANTIZE REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 RESHAPE
RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 RSQRT SLICE SOFTMAX SPLIT SPLIT_V SQUARED_DIFFERENCE
SQUEEZE STRIDED_SLICE SUB SUM TANH TILE TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK
"""


@dataclass(frozen=True, kw_only=True)
class OperatorTable:
    """What a runtime has.

    Attributes:
        runtime: its name, for messages.
        source: where the table is from.
        kinds: TFLite builtin operators.
        integers: whether activations have to be integers.
        hint: what to do about a layer that is none.
    """

    runtime: str
    source: str
    kinds: frozenset[str]
    integers: bool = False
    hint: str = ""


TFLM: Final = OperatorTable(
    runtime="TensorFlow Lite Micro",
    # micro_mutable_op_resolver.h of 2026-08-20 (90b983c); the same 100 of 210 load in tflite-micro
    # 0.dev20261023182759, each tried in a file of its own
    source="tflite-micro 0.dev20261023182759, MicroMutableOpResolver",
    kinds=frozenset(_OF_TFLM.split()),
    hint="Replace the layer by one that it has, export the part before it with `until`, or leave out "
    '`target` and use `exact=True`, `formats="c"`, which needs no runtime.',
)
ETHOS_U: Final = OperatorTable(
    runtime="Ethos-U",
    source="vela 5.2.0 --supported-ops-report, Ethos-U55 and U65",
    kinds=frozenset(_OF_ETHOS_U.split()),
    integers=True,
    hint="Replace the layer by one that it has, export the part before it with `until`, or use "
    '`target="tflm"`, which runs on the processor beside the NPU.',
)
TABLES: Final = {"tflm": TFLM, "ethos-u": ETHOS_U}


def require_operators(graph: Graph, table: OperatorTable, label: str) -> None:
    """Refuse a file with an operator that a runtime lacks.

    Args:
        graph: of the file.
        table: what the runtime has.
        label: of the file or target, for the message.

    Raises:
        UnsupportedError: the message names the layers, why each cannot run, and the ways out.
    """
    found = dict.fromkeys(_lacking(graph, table))
    if found:
        named = "; ".join(list(found)[:_NAMED]) + (
            f"; and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        )
        raise UnsupportedError(
            f"{label}: expected operators that {table.runtime} has ({table.source}), found {named}. "
            f"{table.hint}"
        )


def _lacking(graph: Graph, table: OperatorTable) -> Iterator[str]:
    for op in graph.ops:
        name = graph.tensors[op.outputs[0]].name
        if op.kind not in table.kinds:
            yield f"{op.kind} at '{name}'"
        elif table.integers and _in_float(graph, op):
            yield f"{op.kind} in float32 at '{name}'"


def _in_float(graph: Graph, op: Op) -> bool:
    indices = [index for index in (*op.inputs, *op.outputs) if index >= 0]
    return any(graph.tensors[index].dtype == np.float32 for index in indices)
