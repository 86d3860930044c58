"""Places activations in one arena: two share bytes only where their lifetimes do not meet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnist_export.core.graph import Graph
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family


@dataclass(frozen=True, kw_only=True)
class ArenaPlan:
    """Where activations lie.

    Attributes:
        size_bytes: of the arena, for one image.
        offsets: activation to its first byte; the graph's input has none.
        root: activation to the one whose bytes it is (a reshape's output is its input).
    """

    size_bytes: int
    offsets: dict[int, int]
    root: dict[int, int]


def plan_arena(graph: Graph, *, place_input: bool = False, alignment: int = 1) -> ArenaPlan:
    """Place every activation, largest first, at the lowest offset that is free during its life.

    Args:
        graph: operators in execution order; sizes are counted in bytes of one image.
        place_input: give the input bytes in the arena too.
        alignment: of each offset.
    """
    root = {i: i for i in graph.activations()}
    for op in graph.ops:
        if family(op.kind) == Family.VIEW:
            root[op.outputs[0]] = root[op.inputs[0]]
    born: dict[int, int] = {graph.inputs[0]: -1}
    dies: dict[int, int] = {}
    for time, op in enumerate(graph.ops):
        born.setdefault(root[op.outputs[0]], time)
        for index in (*op.inputs, *op.outputs):
            if index in root:
                dies[root[index]] = time
    for index in graph.outputs:
        dies[root[index]] = len(graph.ops)
    placed: dict[int, tuple[int, int]] = {}
    waiting = [i for i in born if place_input or i != root[graph.inputs[0]]]
    for index in sorted(waiting, key=lambda i: (-_size(graph, i), i)):
        size = -(-_size(graph, index) // alignment) * alignment
        start = 0
        for other, (first, length) in sorted(placed.items(), key=lambda item: item[1]):
            meets = born[index] <= dies[other] and born[other] <= dies[index]
            if meets and start < first + length and first < start + size:
                start = first + length
        placed[index] = (start, size)
    total = max((first + length for first, length in placed.values()), default=0)
    return ArenaPlan(
        size_bytes=max(total, 1), offsets={i: first for i, (first, _) in placed.items()}, root=root
    )


def _size(graph: Graph, index: int) -> int:
    tensor = graph.tensors[index]
    return int(np.prod(tensor.shape[1:])) * tensor.dtype.itemsize
