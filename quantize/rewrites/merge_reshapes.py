"""Removes reshapes that other reshapes undo."""

from __future__ import annotations

from dataclasses import replace

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage


def merge_reshapes(graph: Graph) -> Graph:
    """Let each reshape read the first tensor of its chain, and drop those that change nothing.

    Returns:
        The graph with the same values; the same object where there was nothing to merge.
    """
    origin: dict[int, int] = {}
    editor = GraphEditor(graph)
    changed = False
    for op in graph.ops:
        inputs = tuple(origin.get(i, i) if _takes_origin(graph, op, i, origin) else i for i in op.inputs)
        if family(op.kind) == Family.VIEW:
            source, target = op.inputs[0], op.outputs[0]
            first = origin.get(source, source)
            if target not in graph.outputs:
                origin[target] = first
            if first != source:
                changed = True
                editor.reshape(first, target)
                continue
        changed |= inputs != op.inputs
        editor.keep(replace(op, inputs=inputs))
    return editor.finish() if changed else graph


def _takes_origin(graph: Graph, op: Op, index: int, origin: dict[int, int]) -> bool:
    if family(op.kind) == Family.VIEW or index not in origin:
        return False
    return graph.tensors[origin[index]].shape == graph.tensors[index].shape


REWRITE = Rewrite(
    name="merge_reshapes",
    stage=Stage.INTEGER,
    summary="reshapes that others undo go",
    apply=lambda graph, choose: merge_reshapes(graph),
)
