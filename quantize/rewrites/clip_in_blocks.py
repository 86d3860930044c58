"""Compares with a constant a channel while neighbouring columns still lie side by side.

A comparison over (H, W, C) runs once a pixel over C elements; over (H, W / b, b * C), where the
convolution left its blocks, it runs b times less often over b times as many. The constant is repeated.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage


def clip_in_blocks(graph: Graph) -> Graph:
    """Move each MAXIMUM or MINIMUM with a constant before the reshape that undoes the blocks.

    Returns:
        The graph with the same values; the same object where there was none to move.
    """
    moves = {op: reshape for op in graph.ops if (reshape := _reshape_before(graph, op)) is not None}
    if not moves:
        return graph
    gone = set(moves.values())
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op in moves:
            _move(editor, op, moves[op])
        elif op not in gone:
            editor.keep(op)
    return editor.finish()


def _reshape_before(graph: Graph, op: Op) -> Op | None:
    if family(op.kind) != Family.EXTREME or len(op.inputs) != 2:
        return None
    constant, source = graph.tensors[op.inputs[1]], graph.tensors[op.inputs[0]]
    reshape = graph.producer(op.inputs[0])
    if constant.data is None or reshape is None or reshape.kind != "RESHAPE" or len(source.shape) != 4:
        return None
    blocked = graph.tensors[reshape.inputs[0]]
    if len(graph.consumers(op.inputs[0])) != 1 or op.inputs[0] in graph.outputs or len(blocked.shape) != 4:
        return None
    per_channel = constant.data.size == source.shape[3]
    same_rows = blocked.shape[1] == source.shape[1] and blocked.shape[3] % source.shape[3] == 0
    return reshape if per_channel and same_rows else None


def _move(editor: GraphEditor, op: Op, reshape: Op) -> None:
    graph = editor.graph
    constant, blocked = graph.tensors[op.inputs[1]], graph.tensors[reshape.inputs[0]]
    if constant.data is None:
        raise ValueError(f"tensor '{constant.name}' is not a constant")
    repeats = blocked.shape[3] // constant.data.size
    value = np.tile(constant.data.ravel(), repeats).reshape(1, 1, 1, -1)
    made = editor.activation_like(
        op.outputs[0], f"{graph.tensors[op.outputs[0]].name}/blocked", blocked.shape
    )
    repeated = editor.constant(constant.name, value, constant.quant)
    editor.keep(replace(op, inputs=(reshape.inputs[0], repeated), outputs=(made,)))
    editor.reshape(made, op.outputs[0])


REWRITE = Rewrite(
    name="clip_in_blocks",
    stage=Stage.INTEGER,
    summary="a comparison with a constant a channel runs over blocks of columns",
    apply=lambda graph, choose: clip_in_blocks(graph),
)
