"""What a graph takes in memory: its constants, and its activations for one image."""

from __future__ import annotations

import math

from mnist_export.core.graph.ir import Graph, Tensor


def tensor_bytes(tensor: Tensor) -> int:
    """Bytes of one tensor; a size that is not fixed counts as one."""
    return math.prod(max(size, 1) for size in tensor.shape) * tensor.dtype.itemsize


def constant_bytes(graph: Graph) -> int:
    """Bytes of all constants."""
    return sum(tensor.data.nbytes for tensor in graph.tensors if tensor.data is not None)


def all_activation_bytes(graph: Graph) -> int:
    """Bytes of one image's activations where every one of them is kept, as calibration keeps them."""
    return sum(tensor_bytes(graph.tensors[index]) for index in graph.activations())


def live_activation_bytes(graph: Graph) -> int:
    """Bytes of one image's activations at the fullest moment, where each is freed after its last reader."""
    last = {index: place for place, op in enumerate(graph.ops) for index in op.inputs}
    last.update(dict.fromkeys(graph.outputs, len(graph.ops)))
    freed: dict[int, list[int]] = {}
    for index, place in last.items():
        freed.setdefault(place, []).append(index)
    live = sum(tensor_bytes(graph.tensors[index]) for index in graph.inputs)
    alive = set(graph.inputs)
    fullest = live
    for place, op in enumerate(graph.ops):
        alive.update(op.outputs)
        live += sum(tensor_bytes(graph.tensors[index]) for index in op.outputs)
        fullest = max(fullest, live)
        for index in freed.get(place, []):
            if index in alive:
                alive.remove(index)
                live -= tensor_bytes(graph.tensors[index])
    return fullest
