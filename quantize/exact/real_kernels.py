"""What stands between codes in exact graphs, in NumPy: tables, and float32 that never meets a tie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Activation, Graph, Op, Padding
from mnist_export.quantize.network.geometry import patches, window_of

Values = npt.NDArray[Any]
Kernel = Callable[[Graph, Op, Mapping[int, Values]], Values]


def operand(graph: Graph, index: int, values: Mapping[int, Values]) -> Values:
    """An operand: what was computed, or the constant."""
    data = graph.tensors[index].data
    return values[index] if data is None else data


def activated(op: Op, values: Values) -> Values:
    """A fused RELU or RELU6."""
    kind = Activation(op.options.get("fusedActivationFunction", 0))
    if kind == Activation.NONE:
        return values
    return np.clip(values, 0, 6 if kind == Activation.RELU6 else None).astype(values.dtype)


def _dequantize(graph: Graph, op: Op, values: Mapping[int, Values]) -> Values:
    quant = graph.tensors[op.inputs[0]].quant
    if quant is None:
        raise UnsupportedError(f"exact int8: '{graph.tensors[op.inputs[0]].name}' has no scale.")
    return quant.dequantize(operand(graph, op.inputs[0], values))


def _quantize(graph: Graph, op: Op, values: Mapping[int, Values]) -> Values:
    quant = graph.tensors[op.outputs[0]].quant
    if quant is None:
        raise UnsupportedError(f"exact int8: '{graph.tensors[op.outputs[0]].name}' has no scale.")
    return quant.quantize(values[op.inputs[0]], np.int8)


def _binary(compute: Callable[[Values, Values], Values]) -> Kernel:
    def run(graph: Graph, op: Op, values: Mapping[int, Values]) -> Values:
        first, second = (operand(graph, index, values) for index in op.inputs)
        return activated(op, np.asarray(compute(first, second)))

    return run


def _average_pool(graph: Graph, op: Op, values: Mapping[int, Values]) -> Values:
    source = values[op.inputs[0]]
    kernel = (int(op.options["filterHeight"]), int(op.options["filterWidth"]))
    window = window_of(op, source.shape[1:3], kernel)
    total = patches(source.astype(np.float64), window).sum(axis=(3, 4))
    return activated(op, np.asarray(total / _held(op, source.shape), np.float32))


def _held(op: Op, shape: tuple[int, ...]) -> Values:
    """How many pixels of a map each window of a pool holds: shape (1, out H, out W, 1)."""
    kernel = (int(op.options["filterHeight"]), int(op.options["filterWidth"]))
    window = window_of(op, shape[1:3], kernel)
    if op.options.get("padding", Padding.VALID) == Padding.VALID:
        return np.full((1, *window.out, 1), kernel[0] * kernel[1])
    return np.asarray(patches(np.ones((1, *shape[1:3], 1)), window).sum(axis=(3, 4)))


def _cast(graph: Graph, op: Op, values: Mapping[int, Values]) -> Values:
    return values[op.inputs[0]].astype(graph.tensors[op.outputs[0]].dtype)


def _gather(graph: Graph, op: Op, values: Mapping[int, Values]) -> Values:
    table = operand(graph, op.inputs[0], values)
    return np.take(table, operand(graph, op.inputs[1], values), axis=0)


REAL_KERNELS: Mapping[str, Kernel] = MappingProxyType(
    {
        "DEQUANTIZE": _dequantize,
        "QUANTIZE": _quantize,
        "ADD": _binary(np.add),
        "SUB": _binary(np.subtract),
        "MUL": _binary(np.multiply),
        "AVERAGE_POOL_2D": _average_pool,
        "CAST": _cast,
        "GATHER": _gather,
    }
)
"""Operators that stand between codes."""
