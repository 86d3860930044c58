"""Frees the batch of a graph that TensorFlow's converter made for a fixed number of images."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.quantize.lowering.batch_constants import free_constants
from mnist_export.quantize.lowering.time_major import batch_first

BATCH = 7
"""Images in the converted function, later any number: from one, the converter folds the batch away at maps
of 1x1; a prime that is no layer's usual size is told apart from the sizes around it."""


def free_batch(graph: Graph) -> Graph:
    """Replace the batch by -1 in activations and in the constants that hold it.

    A tensor may have several rows an image, as windows of attention do.

    Args:
        graph: of batch `BATCH`, as `convert_function` gives it.

    Raises:
        ConversionError: a layer mixes the images of a batch; it is named.
    """
    graph = free_constants(batch_first(graph, BATCH), BATCH)
    changes: dict[int, Tensor] = {}
    for index in graph.activations():
        tensor = graph.tensors[index]
        rows = tensor.shape[0] if tensor.shape else 0
        if not rows or rows % BATCH or (index in graph.outputs and rows != BATCH):
            raise ConversionError(
                f"TFLite conversion: layer '{tensor.name}': expected a result of one row an image, found the "
                f"shape {tensor.shape} for {BATCH} images. Replace the layer by one that keeps images apart."
            )
        changes[index] = replace(tensor, shape=(-1, *tensor.shape[1:]))
    ops = []
    for op in graph.ops:
        if op.kind == "RESHAPE":
            changes |= _free_reshape(graph, op)
        if op.kind == "SLICE":
            changes |= _free_size(graph, op)
        ops.append(_free_slice(graph, op) if op.kind == "STRIDED_SLICE" else op)
    return replace(graph.with_tensors(changes), ops=tuple(ops))


def _free_slice(graph: Graph, op: Op) -> Op:
    """A STRIDED_SLICE that takes all images of a batch, however many there are."""
    bounds = [graph.tensors[i].data for i in op.inputs[1:4]]
    if any(value is None for value in bounds):
        return op
    begin, end, steps = (int(np.ravel(value)[0]) for value in bounds if value is not None)
    masks = {name: int(op.options.get(name, 0)) for name in ("beginMask", "endMask")}
    if (
        steps != 1
        or (begin != 0 and not masks["beginMask"] & 1)
        or (end != BATCH and not masks["endMask"] & 1)
    ):
        return op
    return replace(
        op, options=MappingProxyType(dict(op.options) | {name: mask | 1 for name, mask in masks.items()})
    )


def _free_size(graph: Graph, op: Op) -> dict[int, Tensor]:
    """A SLICE that takes all images of a batch."""
    begin, size = (graph.tensors[i] for i in op.inputs[1:3])
    if begin.data is None or size.data is None or begin.data.flat[0] != 0 or size.data.flat[0] % BATCH:
        return {}
    freed = size.data.copy()
    freed.flat[0] = -1
    return {op.inputs[2]: replace(size, data=freed)}


def _free_reshape(graph: Graph, op: Op) -> dict[int, Tensor]:
    if len(op.inputs) < 2 or op.inputs[1] < 0:
        return {}
    shape = graph.tensors[op.inputs[1]]
    if shape.data is None or not shape.data.size or -1 in shape.data:
        return {}
    if shape.data.flat[0] <= 0 or shape.data.flat[0] % BATCH:
        return {}
    freed = shape.data.copy()
    freed.flat[0] = -1
    return {op.inputs[1]: replace(shape, data=freed.astype(np.int32))}
