"""Leaves out comparisons with a bound that no code passes.

A range that ends where a clip does saturates there by itself: after quantization its MINIMUM with 127, or its
MAXIMUM with -128, changes no code.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operators import operator
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage


def drop_idle_clips(graph: Graph) -> Graph:
    """Remove each MAXIMUM with -128 and MINIMUM with 127 of int8 codes.

    Returns:
        The graph with the same integers; the same object where there is none.
    """
    idle = {op.outputs[0]: op.inputs[0] for op in graph.ops if _is_idle(graph, op)}
    if not idle:
        return graph

    def source(index: int) -> int:
        while index in idle:
            index = idle[index]
        return index

    editor = GraphEditor(graph)
    for op in graph.ops:
        if op.outputs[0] not in idle:
            editor.keep(replace(op, inputs=tuple(source(i) for i in op.inputs)))
    return editor.finish()


def _is_idle(graph: Graph, op: Op) -> bool:
    idle = operator(op.kind).idle_code
    if idle is None or len(op.inputs) != 2 or op.outputs[0] in graph.outputs:
        return False
    source, bound = (graph.tensors[i] for i in op.inputs)
    target = graph.tensors[op.outputs[0]]
    if bound.data is None or source.shape != target.shape or target.dtype != np.int8:
        return False
    return bound.data.dtype == np.int8 and bool(np.all(bound.data == idle))


REWRITE = Rewrite(
    name="drop_idle_clips",
    stage=Stage.INTEGER,
    summary="comparisons with a bound that no code passes are left out",
    apply=lambda graph, choose: drop_idle_clips(graph),
)
