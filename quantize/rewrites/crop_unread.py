"""Leaves out the rows and columns of a convolution that the pool after it never reads.

A pool of 2x2 over a map of 7x7 reads 6x6 of it: 13 of 49 outputs are computed for nothing. The
convolution gets its padding as an operator of its own (PAD, which kernels fuse and ONNX files hold as
the convolution's own pads) and stops where the pool does. What is read is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mnist_export.core.graph import Graph, Op, Padding
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.quantize.rewrites.chains import only_reader
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage

_BETWEEN = {Family.EXTREME, Family.CLIP}


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """One axis of a cropped convolution: outputs kept, and elements of padding on either side."""

    outputs: int
    before: int
    after: int


def crop_unread(graph: Graph) -> Graph:
    """Crop every convolution whose last rows or columns a pool leaves out.

    Returns:
        The graph with the same values at its outputs; the same object where nothing is unread.
    """
    found = _next(graph)
    while found is not None:
        graph = _cropped(graph, *found)
        found = _next(graph)
    return graph


def _next(graph: Graph) -> tuple[tuple[Op, ...], tuple[_Axis, _Axis]] | None:
    for conv in graph.ops:
        chain = _chain(graph, conv)
        axes = _axes(graph, conv, chain[-1]) if chain is not None else None
        if chain is not None and axes is not None:
            return chain, axes
    return None


def _chain(graph: Graph, conv: Op) -> tuple[Op, ...] | None:
    """A convolution, elementwise operators behind it, and the pool that ends them."""
    if family(conv.kind) != Family.CONVOLUTION:
        return None
    ops = [conv]
    while (reader := only_reader(graph, ops[-1])) is not None:
        ops.append(reader)
        if family(reader.kind) == Family.POOL:
            return tuple(ops) if Padding(reader.options["padding"]) == Padding.VALID else None
        if family(reader.kind) not in _BETWEEN or not _is_per_channel(graph, reader):
            return None
    return None


def _is_per_channel(graph: Graph, op: Op) -> bool:
    sizes = [graph.tensors[i].shape for i in op.inputs[1:]]
    return all(int(np.prod(s[:-1])) == 1 for s in sizes)


def _axes(graph: Graph, conv: Op, pool: Op) -> tuple[_Axis, _Axis] | None:
    source, made, pooled = (
        graph.tensors[i].shape for i in (conv.inputs[0], conv.outputs[0], pool.outputs[0])
    )
    weights = graph.tensors[conv.inputs[1]].shape
    if conv.options.get("dilationHFactor", 1) != 1 or conv.options.get("dilationWFactor", 1) != 1:
        return None
    same = Padding(conv.options["padding"]) == Padding.SAME
    found = []
    for axis, letter, filter_name in ((1, "H", "filterHeight"), (2, "W", "filterWidth")):
        stride = conv.options[f"stride{letter}"]
        read = (pooled[axis] - 1) * pool.options[f"stride{letter}"] + pool.options[filter_name]
        total = max((made[axis] - 1) * stride + weights[axis] - source[axis], 0) if same else 0
        before = total // 2
        after = (read - 1) * stride + weights[axis] - source[axis] - before
        if after < 0 or read > made[axis]:  # an unread end of the input itself cannot be left out
            read, after = made[axis], total - before
        found.append(_Axis(outputs=read, before=before, after=after))
    if found[0].outputs == made[1] and found[1].outputs == made[2]:
        return None
    return found[0], found[1]


def _cropped(graph: Graph, chain: tuple[Op, ...], axes: tuple[_Axis, _Axis]) -> Graph:
    conv, rows, columns = chain[0], *axes
    target = graph.tensors[conv.outputs[0]]
    editor = GraphEditor(graph)
    for op in chain[:-1]:
        tensor = graph.tensors[op.outputs[0]]
        shape = (tensor.shape[0], rows.outputs, columns.outputs, tensor.shape[3])
        editor.set_tensor(op.outputs[0], replace(tensor, shape=shape))
    for op in graph.ops:
        if op is not conv:
            editor.keep(op)
            continue
        entered = editor.padded(
            conv.inputs[0], target.name, (rows.before, rows.after), (columns.before, columns.after)
        )
        options = dict(conv.options) | {"padding": int(Padding.VALID)}
        editor.keep(replace(conv, inputs=(entered, *conv.inputs[1:]), options=options))
    return editor.finish()


REWRITE = Rewrite(
    name="crop_unread",
    stage=Stage.INTEGER,
    summary="a convolution stops where the pool behind it stops reading",
    apply=lambda graph, choose: crop_unread(graph),
)
