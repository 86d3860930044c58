"""Changes the ends of a graph: QUANTIZE operators, so that a file takes another type, and a fixed batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op, Tensor
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
    tensors = list(graph.tensors)
    ops = list(graph.ops)
    inputs, outputs = [], []
    for index in graph.inputs:
        tensors.append(_outer(tensors[index], io))
        tensors[index] = replace(tensors[index], name=f"{tensors[index].name}/{tensors[index].dtype}")
        ops.insert(0, _converter(tensors, len(tensors) - 1, index))
        inputs.append(len(tensors) - 1)
    for index in graph.outputs:
        tensors.append(_outer(tensors[index], io))
        tensors[index] = replace(tensors[index], name=f"{tensors[index].name}/{tensors[index].dtype}")
        ops.append(_converter(tensors, index, len(tensors) - 1))
        outputs.append(len(tensors) - 1)
    return Graph(tensors=tuple(tensors), ops=tuple(ops), inputs=tuple(inputs), outputs=tuple(outputs))


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


def _converter(tensors: list[Tensor], source: int, target: int) -> Op:
    kind = "DEQUANTIZE" if tensors[target].dtype == np.float32 else "QUANTIZE"
    return Op(kind=kind, inputs=(source,), outputs=(target,))
