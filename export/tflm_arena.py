"""The tensor arena that TensorFlow Lite Micro needs for a file, computed as its allocator does it.

The head of the arena holds activations and kernels' scratch buffers, placed by TFLM's greedy planner
(micro/memory_planner/greedy_memory_planner.cc) over the lifetimes of micro/micro_allocation_info.cc. Its
tail holds tables: one entry a tensor and an operator (micro/micro_allocator.cc), and what kernels keep. Sizes
of the tables are those of a 64-bit machine, as in TFLM's own report there; a microcontroller's pointers are
half as long, so it needs less. Kernels of CMSIS-NN and ESP-NN ask for scratch buffers of their own on top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.memory import tensor_bytes

ALIGNMENT: Final = 16  # MicroArenaBufferAlignment
_EVAL_TENSOR: Final = 24  # sizeof(TfLiteEvalTensor)
_NODE: Final = 64  # sizeof(NodeAndRegistration)
_TENSOR: Final = 64  # sizeof(TfLiteTensor), of each input and output
_AFFINE: Final = 32  # TfLiteAffineQuantization and one zero point
_POINTERS: Final = 16  # of inputs, and of outputs
_SCRATCH_HANDLE: Final = 8
_OWN: Final = 496  # planner, allocators, tables of the model: measured
_REQUESTS: Final = 12 * 24  # ScratchBufferRequest, for as many as one operator may ask for
# What an operator's parameters take (core/c/builtin_op_data.h) and its kernel keeps (kernels/*.h), in bytes.
_KEPT: Final = {
    "CONV_2D": (28, 80),
    "DEPTHWISE_CONV_2D": (28, 80),
    "TRANSPOSE_CONV": (20, 96),
    "FULLY_CONNECTED": (16, 80),
    "MAX_POOL_2D": (40, 48),
    "AVERAGE_POOL_2D": (40, 48),
    "RESHAPE": (36, 0),
    "SQUEEZE": (36, 0),
    "EXPAND_DIMS": (0, 0),
    "PAD": (0, 64),
    "PADV2": (0, 64),
    "ADD": (8, 80),
    "SUB": (8, 80),
    "MUL": (4, 64),
    "MAXIMUM": (0, 0),
    "MINIMUM": (0, 0),
    "CONCATENATION": (8, 96),
    "RELU": (0, 48),
    "RELU6": (0, 32),
    "LOGISTIC": (0, 32),
    "TANH": (0, 32),
    "ELU": (0, 256),
    "LEAKY_RELU": (4, 48),
    "SOFTMAX": (4, 80),
    "MEAN": (1, 48),
    "SUM": (1, 48),
    "REDUCE_MAX": (1, 48),
    "REDUCE_MIN": (1, 48),
    "QUANTIZE": (0, 48),
    "DEQUANTIZE": (0, 16),
    "GATHER": (8, 0),
    "CAST": (0, 0),
    "TRANSPOSE": (0, 0),
    "STRIDED_SLICE": (24, 64),
}
_UNKNOWN: Final = (8, 48)
_PER_CHANNEL: Final = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0}
_REDUCTIONS: Final = frozenset({"MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"})


@dataclass(frozen=True, kw_only=True)
class TflmArena:
    """What TFLM takes of its arena.

    Attributes:
        values_bytes: activations and scratch buffers (the head).
        tables_bytes: TFLM's tables and what its kernels keep (the tail).
    """

    values_bytes: int
    tables_bytes: int

    @property
    def size_bytes(self) -> int:
        """The arena."""
        return self.values_bytes + self.tables_bytes


def tflm_arena(graph: Graph) -> TflmArena:
    """Compute the arena of a file.

    Args:
        graph: the file's, for a batch of one; its operators in the file's order.
    """
    buffers = _lifetimes(graph)
    scratch = [_scratch(graph, op) for op in graph.ops]
    for step, sizes in enumerate(scratch, start=1):
        buffers += [(size, step, step) for size in sizes]
    ends = len(graph.inputs) + len(graph.outputs)
    tables = (
        _OWN
        + _EVAL_TENSOR * len(graph.tensors)
        + _NODE * len(graph.ops)
        + sum(_kept(graph, op) for op in graph.ops)
        + _SCRATCH_HANDLE * sum(map(len, scratch))
        + 2 * _POINTERS
        + _TENSOR * ends
        + _AFFINE * sum(graph.tensors[i].quant is not None for i in (*graph.inputs, *graph.outputs))
    )
    requests = _REQUESTS + 24 * sum(map(len, scratch))
    return TflmArena(
        values_bytes=max(greedy_plan(buffers), _aligned(requests)), tables_bytes=_aligned(tables)
    )


def greedy_plan(buffers: Sequence[tuple[int, int, int]]) -> int:
    """The extent of a plan that places the largest buffer first, each in the first gap that is wide enough.

    Args:
        buffers: size in bytes, first and last time of use of each, in TFLM's order.
    """
    # TFLM lists buffers from the last to the first and then bubbles larger ones to the front
    rounded = [(_aligned(size), first, last) for size, first, last in reversed(buffers) if size]
    waiting = sorted(rounded, key=lambda item: -item[0])
    placed: list[tuple[int, int, int, int]] = []  # offset, size, first, last; by offset
    for size, first, last in waiting:
        offset = 0
        for start, length, born, dies in placed:
            if born > last or first > dies:
                continue
            if start - offset >= size:
                break
            offset = max(offset, start + length)
        place = next((i for i, other in enumerate(placed) if other[0] > offset), len(placed))
        placed.insert(place, (offset, size, first, last))
    return max((offset + size for offset, size, _, _ in placed), default=0)


def _lifetimes(graph: Graph) -> list[tuple[int, int, int]]:
    born: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    dies: dict[int, int] = dict.fromkeys(graph.inputs, 0)
    for step, op in enumerate(graph.ops, start=1):
        for index in op.outputs:
            born.setdefault(index, step)
        dies.update((index, step) for index in (*op.inputs, *op.outputs) if index >= 0)
    dies.update(dict.fromkeys(graph.outputs, len(graph.ops)))
    return [
        (tensor_bytes(graph.tensors[index]), born[index], dies[index])
        for index in sorted(born)
        if not graph.tensors[index].is_constant
    ]


def _kept(graph: Graph, op: Op) -> int:
    parameters, kernel = _KEPT.get(op.kind, _UNKNOWN)
    channels = 0
    if op.kind in _PER_CHANNEL:
        channels = graph.tensors[op.inputs[1]].shape[_PER_CHANNEL[op.kind]]
    elif op.kind == "FULLY_CONNECTED":
        quant = graph.tensors[op.inputs[1]].quant
        channels = quant.scale.size if quant is not None and quant.is_per_channel else 0
    return -(-parameters // 8) * 8 + kernel + 2 * _aligned(4 * channels)


def _scratch(graph: Graph, op: Op) -> list[int]:
    """What an operator's reference kernel asks for while it runs."""
    source = graph.tensors[op.inputs[0]]
    made = math.prod(graph.tensors[op.outputs[0]].shape[1:])
    if op.kind in _REDUCTIONS:
        axes = graph.tensors[op.inputs[1]]
        ends = [4 * len(source.shape), 4 * math.prod(axes.shape)]
        sums = op.kind in {"MEAN", "SUM"} and source.dtype.kind == "i"
        return [4 * made, *ends] if sums else ends
    if op.kind == "TRANSPOSE_CONV":
        return {1: [4 * made], 2: [8 * made]}.get(graph.tensors[op.outputs[0]].dtype.itemsize, [])
    if op.kind == "MIRROR_PAD":
        return [4 * len(source.shape)] * 2
    return []


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
