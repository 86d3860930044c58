"""A graph cut off behind one weighted operator, before its activation: where weight errors show plainly."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from mnist_export.core.graph import Activation, Graph, Op, Tensor
from mnist_export.core.graph.editing import GraphEditor
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
    editor = GraphEditor(graph)
    editor.ops = list(graph.ops[: graph.ops.index(op)])
    float32 = np.dtype(np.float32)
    source = op.inputs[0]
    if graph.tensors[source].quant is not None and graph.tensors[source].dtype != float32:
        plain = replace(graph.tensors[source], name="cut/input", dtype=float32, quant=None)
        real = editor.add_tensor(plain)
        editor.add("DEQUANTIZE", (source,), (real,))
        source = real
    inputs = [source, editor.add_tensor(_plain(weights or graph.tensors[op.inputs[1]]))]
    if has_bias(op):
        inputs.append(editor.add_tensor(_plain(bias or graph.tensors[op.inputs[2]])))
    result = editor.add_tensor(
        replace(graph.tensors[op.outputs[0]], name="cut/output", dtype=float32, quant=None)
    )
    options = dict(op.options) | {"fusedActivationFunction": int(Activation.NONE)}
    editor.keep(replace(op, inputs=tuple(inputs), outputs=(result,), options=MappingProxyType(options)))
    editor.outputs = (result,)
    return editor.finish()


def _plain(tensor: Tensor) -> Tensor:
    return replace(
        tensor, name=f"cut/{tensor.name}", data=tensor.real(), dtype=np.dtype(np.float32), quant=None
    )
