"""Precisions that change how weights are stored and leave activations in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operators import operator
from mnist_export.quantize.post_training.weights import quantize_weights

DYNAMIC_MIN_ELEMENTS = 1024
"""Smaller weights stay in float, as in TFLiteConverter: their conversion costs more than it saves."""


def to_float16(graph: Graph) -> Graph:
    """Store every float32 constant as float16, expanded by a DEQUANTIZE at run time.

    Raises:
        UnsupportedError: a weight whose magnitude float16 cannot hold (above 65504).
    """

    def halve(graph: Graph, op: Op, index: int, axis: int | None) -> Tensor | None:
        tensor = graph.tensors[index]
        if tensor.data is None or tensor.dtype != np.float32:
            return None
        if np.abs(tensor.data).max(initial=0.0) > np.finfo(np.float16).max:
            raise UnsupportedError(
                f"float16: '{tensor.name}' holds {np.abs(tensor.data).max():g}, expected at most 65504. "
                'Use `precision="float32"` or `precision="int8"`.'
            )
        return replace(tensor, data=tensor.data.astype(np.float16), dtype=np.dtype(np.float16))

    return _with_stored_weights(graph, halve, expand=True)


def to_dynamic(graph: Graph) -> Graph:
    """Store large weights as symmetric int8, per channel; activations are quantized at run time.

    TFLite's hybrid kernels choose each activation's scale from its values; the ONNX file computes in
    float32 with the very same int8 weights.
    """

    def quantize(graph: Graph, op: Op, index: int, axis: int | None) -> Tensor | None:
        tensor = graph.tensors[index]
        if axis is None or index != op.inputs[1] or tensor.data is None:
            return None
        if tensor.data.size < DYNAMIC_MIN_ELEMENTS:
            return None
        data, quant = quantize_weights(tensor.real(), axis, per_channel=True)
        return replace(tensor, data=data, dtype=np.dtype(np.int8), quant=quant)

    return _with_stored_weights(graph, quantize, expand=False)


def _with_stored_weights(
    graph: Graph, store: Callable[[Graph, Op, int, int | None], Tensor | None], *, expand: bool
) -> Graph:
    editor = GraphEditor(graph)
    done: dict[int, int] = {}
    for op in graph.ops:
        inputs = list(op.inputs)
        axis = operator(op.kind).weight_axis
        for position, index in enumerate(op.inputs):
            if index < 0 or not graph.tensors[index].is_constant:
                continue
            if index not in done:
                stored = store(graph, op, index, axis)
                if stored is None:
                    continue
                done[index] = editor.add_successor(stored)
                if expand:
                    name = f"{stored.name}/float32"
                    real = editor.add_tensor(replace(graph.tensors[index], name=name, data=None))
                    editor.add("DEQUANTIZE", (done[index],), (real,))
                    done[index] = real
            inputs[position] = done[index]
        editor.keep(replace(op, inputs=tuple(inputs)))
    return editor.finish()


def keep_float32(graph: Graph) -> Graph:
    """Leave the graph as it is."""
    return graph


STORAGE: Mapping[str, Callable[[Graph], Graph]] = MappingProxyType(
    {"float32": keep_float32, "float16": to_float16, "dynamic": to_dynamic}
)
"""Precision to the transformation that stores weights in it."""
