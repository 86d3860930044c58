"""A graph cut off behind one weighted operator, before its activation: where weight errors show plainly."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from mnist_export.core.graph import Activation, Graph, Op, Tensor
from mnist_export.quantize.network.layers import has_bias


def preactivation(
    graph: Graph, op: Op, *, weights: Tensor | None = None, bias: Tensor | None = None
) -> Graph:
    """Cut a graph so that its output is ``W x + b`` of one operator, in real units.

    In a quantized graph everything before the operator stays in integers; the operator itself computes
    in float from its dequantized input, weights and bias, so that no rounding of its output hides
    the error of its weights.

    Args:
        graph: float or quantized.
        op: a weighted operator of the graph.
        weights: float32 weights to use instead of its own.
        bias: float32 bias to use instead of its own.

    Returns:
        A graph of one float32 output, that of ``op`` without its fused activation.
    """
    tensors = list(graph.tensors)

    def add(tensor: Tensor) -> int:
        tensors.append(tensor)
        return len(tensors) - 1

    before = graph.ops[: graph.ops.index(op)]
    source = op.inputs[0]
    extra: tuple[Op, ...] = ()
    if graph.tensors[source].quant is not None and graph.tensors[source].dtype != np.float32:
        plain = replace(graph.tensors[source], name="cut/input", dtype=np.dtype(np.float32), quant=None)
        real = add(plain)
        extra = (Op(kind="DEQUANTIZE", inputs=(source,), outputs=(real,)),)
        source = real
    inputs = [source, add(_plain(weights or graph.tensors[op.inputs[1]]))]
    if has_bias(op):
        inputs.append(add(_plain(bias or graph.tensors[op.inputs[2]])))
    result = add(
        replace(graph.tensors[op.outputs[0]], name="cut/output", dtype=np.dtype(np.float32), quant=None)
    )
    options = dict(op.options) | {"fusedActivationFunction": int(Activation.NONE)}
    cut = replace(op, inputs=tuple(inputs), outputs=(result,), options=MappingProxyType(options))
    return Graph(
        tensors=tuple(tensors), ops=(*before, *extra, cut), inputs=graph.inputs, outputs=(result,)
    ).pruned()


def _plain(tensor: Tensor) -> Tensor:
    return replace(
        tensor, name=f"cut/{tensor.name}", data=tensor.real(), dtype=np.dtype(np.float32), quant=None
    )
