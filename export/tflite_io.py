"""Changes the ends of a graph: QUANTIZE operators, so that a file takes another type, and a fixed batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.kinds import IoType


def with_io(graph: Graph, io: IoType) -> Graph:
    """Change the type of a graph's input and output.

    Args:
        graph: an integer graph; a float graph is returned as it is.
        io: the type wanted. uint8 is int8 plus 128 with the same scale.

    Returns:
        The graph with the public names on the new ends.
    """
    inner = graph.tensors[graph.inputs[0]]
    if inner.quant is None or str(inner.dtype) == str(io):
        return graph
    editor = GraphEditor.in_place(graph)
    editor.inputs = tuple(_with_outer(editor, index, io) for index in graph.inputs)
    for inner_end, outer in zip(graph.inputs, editor.inputs, strict=True):
        editor.ops.insert(0, _converter(editor, outer, inner_end))
    editor.outputs = tuple(_with_outer(editor, index, io) for index in graph.outputs)
    for inner_end, outer in zip(graph.outputs, editor.outputs, strict=True):
        editor.keep(_converter(editor, inner_end, outer))
    return editor.snapshot()


def _with_outer(editor: GraphEditor, index: int, io: IoType) -> int:
    """Append the public end of a tensor, under its name; the inner one is named after its type."""
    inner = editor.tensor(index)
    outer = editor.add_successor(_outer(inner, io))
    editor.set_tensor(index, replace(inner, name=f"{inner.name}/{inner.dtype}"))
    return outer


def with_batch(graph: Graph, batch: int) -> Graph:
    """Fix the batch of every tensor: the file has no shape signature then, which some runtimes refuse.

    Args:
        graph: with a free batch; one that is fixed is returned as it is.
        batch: its size.
    """
    changed = {
        index: replace(tensor, shape=(batch, *tensor.shape[1:]))
        for index, tensor in enumerate(graph.tensors)
        if tensor.shape[:1] == (-1,)
    }
    return graph.with_tensors(changed) if changed else graph


def _outer(inner: Tensor, io: IoType) -> Tensor:
    dtype = np.dtype(str(io))
    quant = inner.quant
    if io == IoType.FLOAT32 or quant is None:
        return replace(inner, dtype=dtype, quant=None)
    shift = int(np.iinfo(dtype).min) - int(np.iinfo(inner.dtype).min)
    shifted = QuantParams.per_tensor(float(quant.scale[0]), int(quant.zero_point[0]) + shift)
    return replace(inner, dtype=dtype, quant=shifted)


def _converter(editor: GraphEditor, source: int, target: int) -> Op:
    kind = "DEQUANTIZE" if editor.tensor(target).dtype == np.float32 else "QUANTIZE"
    return Op(kind=kind, inputs=(source,), outputs=(target,))
