"""Operators that average an image, and which of them a convolution can stand for."""

from __future__ import annotations

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.operators import OPERATORS
from mnist_export.quantize.network.geometry import window_of

AVERAGES = frozenset(kind for kind, entry in OPERATORS.items() if entry.averages)
"""Operators that give means."""


def obstacle(graph: Graph, op: Op) -> str:
    """Why an average cannot become a convolution; empty where it can.

    Args:
        graph: the operator's.
        op: one of `AVERAGES`.
    """
    source = graph.tensors[op.inputs[0]]
    if len(source.shape) != 4:
        return f"{op.kind} over rank {len(source.shape)}, expected an image"
    if op.kind == "MEAN":
        axes = graph.tensors[op.inputs[1]].data
        found = sorted(int(a) % 4 for a in axes.ravel()) if axes is not None else []
        return "" if found == [1, 2] else f"a mean over the axes {found}, expected height and width"
    kernel = (int(op.options["filterHeight"]), int(op.options["filterWidth"]))
    if window_of(op, source.shape[1:3], kernel).is_padded:
        return "an average pool with SAME padding that divides by less at the border"
    return ""
