"""Multiplies dense layers that follow each other without an activation into one.

``V (W x + b) + c = (V W) x + (V b + c)``: four dense layers without activations are one linear map, and
one matrix computes it. Done where the product has no more weights than its factors.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.quantize.rewrites.chains import activation_of, only_reader
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage


def merge_dense(graph: Graph) -> Graph:
    """Merge every pair of neighbouring linear dense layers.

    Returns:
        The graph with the same float function; the same object where there is no such pair.
    """
    for op in graph.ops:
        after = only_reader(graph, op)
        if after is not None and _is_linear_pair(graph, op, after):
            return merge_dense(_merged(graph, op, after))
    return graph


def _is_linear_pair(graph: Graph, first: Op, second: Op) -> bool:
    if not first.kind == second.kind == "FULLY_CONNECTED" or activation_of(first) != Activation.NONE:
        return False
    if second.inputs[0] != first.outputs[0]:
        return False
    parts = [graph.tensors[i] for op in (first, second) for i in op.inputs[1:] if i >= 0]
    if any(t.data is None or t.dtype != np.float32 for t in parts):
        return False
    inner, outer = graph.tensors[first.inputs[1]].shape, graph.tensors[second.inputs[1]].shape
    return outer[0] * inner[1] <= inner[0] * inner[1] + outer[0] * outer[1]


def _merged(graph: Graph, first: Op, second: Op) -> Graph:
    inner, outer = (graph.tensors[op.inputs[1]].real().astype(np.float64) for op in (first, second))
    bias = outer @ _bias(graph, first) + _bias(graph, second)
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op is first:
            continue
        if op is second:
            name = graph.tensors[second.inputs[1]].name
            weights = editor.constant(name, (outer @ inner).astype(np.float32))
            merged = editor.constant(f"{name}/bias", bias.astype(np.float32))
            editor.keep(replace(second, inputs=(first.inputs[0], weights, merged)))
        else:
            editor.keep(op)
    return editor.finish()


def _bias(graph: Graph, op: Op) -> npt.NDArray[np.float64]:
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        return graph.tensors[op.inputs[2]].real().astype(np.float64)
    return np.zeros(graph.tensors[op.inputs[1]].shape[0])


REWRITE = Rewrite(
    name="merge_dense",
    stage=Stage.FLOAT,
    summary="dense layers without an activation between them become one",
    apply=lambda graph, choose: merge_dense(graph),
)
