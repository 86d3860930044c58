"""The float network with one layer rounded as the integers round it: what that layer does alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.quantize.network.layers import by_name, has_bias

_ROUNDED = "rounded"


def with_quantized_layer(graph: Graph, quantized: Graph, op: Op, *, weights: bool, output: bool) -> Graph:
    """The float graph with one layer's numbers rounded as the quantized graph rounds them.

    Args:
        graph: the float graph.
        quantized: its integer form, tensors matched by name.
        op: an operator of ``graph``.
        weights: take its weights and bias from the integers.
        output: send its output through the integers' scale and back.
    """
    known = by_name(quantized)
    changes: dict[int, Tensor] = {}
    if weights:
        for index in (op.inputs[1], *((op.inputs[2],) if has_bias(op) else ())):
            other = quantized.tensors[known[graph.tensors[index].name]]
            changes[index] = replace(
                graph.tensors[index], data=other.real().reshape(graph.tensors[index].shape)
            )
    graph = graph.with_tensors(changes)
    if not output:
        return graph
    index = op.outputs[0]
    other = quantized.tensors[known[graph.tensors[index].name]]
    if other.quant is None:
        return graph
    return _through_codes(graph, index, other.quant, other.dtype)


def _through_codes(graph: Graph, index: int, quant: QuantParams, dtype: np.dtype[np.generic]) -> Graph:
    source = graph.tensors[index]
    codes, real = len(graph.tensors), len(graph.tensors) + 1
    added = (
        replace(source, name=f"{source.name}/codes", dtype=np.dtype(dtype), quant=quant),
        replace(source, name=f"{source.name}/{_ROUNDED}"),
    )
    ops: list[Op] = []
    for op in graph.ops:
        ops.append(replace(op, inputs=tuple(real if i == index else i for i in op.inputs)))
        if index in op.outputs:
            ops.append(Op(kind="QUANTIZE", inputs=(index,), outputs=(codes,)))
            ops.append(Op(kind="DEQUANTIZE", inputs=(codes,), outputs=(real,)))
    return replace(
        graph,
        tensors=(*graph.tensors, *added),
        ops=tuple(ops),
        outputs=tuple(real if i == index else i for i in graph.outputs),
    )


def rounded_output(graph: Graph, name: str) -> int:
    """Index of the tensor that holds a rounded layer's output in real units.

    Args:
        graph: from `with_quantized_layer`, with ``output``.
        name: of the layer's output before.
    """
    return by_name(graph)[f"{name}/{_ROUNDED}"]
