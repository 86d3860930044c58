"""Moves a shift a channel into the bias of the layers that read it, where no padding comes between.

``W (x + s) + b = W x + (b + W s)`` holds wherever every tap reads a real element. A convolution with
padding reads zeros at the border, which the shift does not reach; there the shift stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Graph, Op, Padding
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.quantize.network.operators import WEIGHTED
from mnist_export.quantize.rewrites.chains import channel_vector
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage

"""``pool(x + s) = pool(x) + s`` for a shift a channel; TFLite's pools leave padding out."""


def shift_into_next(graph: Graph) -> Graph:
    """Move every ADD or SUB of a constant a channel that only unpadded layers read.

    Returns:
        The graph with the same float function; the same object where there is none to move.
    """
    for op in graph.ops:
        moved = _moved(graph, op)
        if moved is not None:
            return shift_into_next(moved)
    return graph


def _moved(graph: Graph, op: Op) -> Graph | None:
    if family(op.kind) != Family.SUM or graph.tensors[op.outputs[0]].dtype != np.float32:
        return None
    value = next((i for i in op.inputs if not graph.tensors[i].is_constant), -1)
    vector = channel_vector(graph, op, value) if value >= 0 else None
    if vector is None or (op.kind == "SUB" and op.inputs[0] != value):
        return None
    shifts = _reached(graph, op.outputs[0], vector if op.kind == "ADD" else -vector)
    if not shifts:
        return None
    editor = GraphEditor(graph)
    for other in graph.ops:
        if other is op:
            continue
        inputs = tuple(value if i == op.outputs[0] else i for i in other.inputs)
        if other in shifts:
            inputs = (*inputs[:2], _bias(editor, other, shifts[other]))
        editor.keep(replace(other, inputs=inputs))
    return editor.finish()


def _reached(
    graph: Graph, index: int, shift: npt.NDArray[np.float64]
) -> Mapping[Op, npt.NDArray[np.float64]] | None:
    """The layers that a shift reaches, each with the shift of its input channels; None where it cannot go."""
    if index in graph.outputs or not graph.consumers(index):
        return None
    found: dict[Op, npt.NDArray[np.float64]] = {}
    for reader in graph.consumers(index):
        if reader.kind in WEIGHTED:
            if reader.inputs[0] != index or not _is_unpadded(graph, reader):
                return None
            found[reader] = shift
            continue
        further = None
        if family(reader.kind) == Family.POOL and not reader.options.get("fusedActivationFunction", 0):
            further = _reached(graph, reader.outputs[0], shift)
        elif reader.kind == "RESHAPE" and len(graph.tensors[reader.outputs[0]].shape) == 2:
            repeats = graph.tensors[reader.outputs[0]].shape[1] // len(shift)
            further = _reached(graph, reader.outputs[0], np.tile(shift, repeats))
        if further is None:
            return None
        found.update(further)
    return found


def _is_unpadded(graph: Graph, op: Op) -> bool:
    parts = [graph.tensors[i] for i in op.inputs[1:] if i >= 0]
    if any(t.data is None or t.dtype != np.float32 for t in parts):
        return False
    if op.kind == "FULLY_CONNECTED":
        return len(graph.tensors[op.inputs[0]].shape) == 2
    if Padding(op.options["padding"]) == Padding.VALID:
        return True
    return graph.tensors[op.inputs[1]].shape[1:3] == (1, 1)


def _bias(editor: GraphEditor, op: Op, shift: npt.NDArray[np.float64]) -> int:
    graph = editor.graph
    weights = graph.tensors[op.inputs[1]].real().astype(np.float64)
    if op.kind == "FULLY_CONNECTED":
        added = weights @ shift
    elif op.kind == "CONV_2D":
        groups = len(shift) // weights.shape[3]
        of_group = shift.reshape(groups, -1).repeat(weights.shape[0] // groups, axis=0)
        added = np.einsum("ohwi,oi->o", weights, of_group)
    else:  # depthwise: output channel c * multiplier + m reads input channel c
        added = weights.sum(axis=(0, 1, 2)) * shift.repeat(weights.shape[3] // len(shift))
    has_bias = len(op.inputs) > 2 and op.inputs[2] >= 0
    name = graph.tensors[op.inputs[2]].name if has_bias else f"{graph.tensors[op.outputs[0]].name}/bias"
    old = graph.tensors[op.inputs[2]].real().astype(np.float64) if has_bias else 0.0
    return editor.constant(name, (old + added).astype(np.float32))


REWRITE = Rewrite(
    name="shift_into_next",
    stage=Stage.FLOAT,
    summary="a shift a channel moves into the bias of unpadded layers behind it",
    apply=lambda graph, choose: shift_into_next(graph),
)
