"""Operators as quantization sees them: which have weights, and which share their scale.

What is known of each stands in `core.graph.operators`.
"""

from __future__ import annotations

import numpy.typing as npt

from mnist_export.core.graph import Graph
from mnist_export.core.graph.operators import OPERATORS, operator

WEIGHTED = frozenset(kind for kind, entry in OPERATORS.items() if entry.has_weights)
"""Operators with weights in input 1 and a bias in input 2."""


def same_scale_groups(graph: Graph, dtype: npt.DTypeLike) -> dict[int, int]:
    """Which activations must share scale and zero point.

    Args:
        graph: of floats or of integers.
        dtype: of the activations that count.

    Returns:
        Each such activation's index to that of its group's representative.
    """
    parent = {i: i for i in graph.activations() if graph.tensors[i].dtype == dtype}

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for op in graph.ops:
        if operator(op.kind).same_scale:
            linked = [i for i in (*op.inputs, *op.outputs) if i in parent]
            for other in linked[1:]:
                parent[root(other)] = root(linked[0])
    return {i: root(i) for i in parent}
