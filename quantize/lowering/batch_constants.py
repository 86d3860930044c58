"""Constants that hold one row for each image of a fixed batch: one row is kept, and broadcast.

A class token that a layer broadcasts to the batch comes out of the converter as such a constant.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import kinds

_FLOAT = np.dtype(np.float32)
_BROADCAST = {*kinds(Family.SUM, Family.PRODUCT, Family.EXTREME, Family.BINARY), "BATCH_MATMUL"} - {"SELECT"}


def free_constants(graph: Graph, batch: int) -> Graph:
    """Keep one row of each constant that repeats it for every image.

    Args:
        graph: as the converter gives it, for a fixed batch.
        batch: how many images it was made for.

    Raises:
        ConversionError: a constant's rows differ from image to image; its layer is named.
    """
    editor = GraphEditor(graph)
    for op in graph.ops:
        rows = [i for i in op.inputs if i >= 0 and _has_rows(graph, op, i, batch)]
        if op.kind in _BROADCAST:
            for index in rows:
                editor.set_tensor(index, _one_row(editor.tensor(index)))
            editor.keep(op)
        elif op.kind == "CONCATENATION" and rows:
            _add_padded(editor, op, rows)
        else:
            editor.keep(op)
    return editor.finish()


def _has_rows(graph: Graph, op: Op, index: int, batch: int) -> bool:
    data = graph.tensors[index].data
    rank = len(graph.tensors[op.outputs[0]].shape)
    return data is not None and data.ndim == rank and rank > 1 and data.shape[0] == batch


def _one_row(tensor: Tensor) -> Tensor:
    data = tensor.data
    if data is None or data.shape[0] == 1:
        return tensor
    if not np.array_equal(data, np.broadcast_to(data[:1], data.shape)):
        raise ConversionError(
            f"TFLite conversion: constant '{tensor.name}': expected the same for every image, found "
            "values that differ from image to image. Replace the layer by one that keeps images apart."
        )
    return replace(tensor, data=data[:1].copy(), shape=(1, *data.shape[1:]))


def _add_padded(editor: GraphEditor, op: Op, rows: list[int]) -> None:
    """A CONCATENATION with constants: zeros around what is computed, and the constants added to them."""
    graph = editor.graph
    axis = int(op.options["axis"]) % len(graph.tensors[op.outputs[0]].shape)
    computed = [place for place, i in enumerate(op.inputs) if i not in rows]
    if not computed or computed != list(range(computed[0], computed[-1] + 1)) or axis == 0:
        name = graph.tensors[op.outputs[0]].name
        raise ConversionError(
            f"TFLite conversion: layer '{name}': expected constants before or behind what is computed, found "
            "them in between. Concatenate in two layers."
        )
    target = graph.tensors[op.outputs[0]]
    sizes = [graph.tensors[i].shape[axis] for i in op.inputs]
    before, behind = sum(sizes[: computed[0]]), sum(sizes[computed[-1] + 1 :])
    parts = [editor.tensor(i) for i in op.inputs]
    shape = (1, *target.shape[1:])
    table = np.zeros(shape, np.float32)
    place = 0
    for position, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        data = _one_row(part).data if position not in computed else None
        if data is not None:
            slot = [slice(None)] * len(shape)
            slot[axis] = slice(place, place + size)
            table[tuple(slot)] = data
        place += size
    source = op.inputs[computed[0]]
    inner = target.shape[axis] - before - behind
    if len(computed) > 1:
        whole = (*target.shape[:axis], inner, *target.shape[axis + 1 :])
        source = editor.add_tensor(Tensor(name=f"{target.name}/joined", shape=whole, dtype=_FLOAT))
        editor.keep(replace(op, inputs=tuple(op.inputs[p] for p in computed), outputs=(source,)))
    pads = np.zeros((len(shape), 2), np.int32)
    pads[axis] = before, behind
    padded = editor.add_tensor(Tensor(name=f"{target.name}/padded", shape=target.shape, dtype=_FLOAT))
    editor.add("PAD", (source, editor.constant(f"{target.name}/pads", pads)), (padded,), "PadOptions")
    inputs = (padded, editor.constant(f"{target.name}/constant", table))
    editor.add("ADD", inputs, op.outputs, "AddOptions", {"fusedActivationFunction": 0})
