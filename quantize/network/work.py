"""What operators cost: multiply-adds of one image, and bytes of their constants."""

from __future__ import annotations

import math
from collections.abc import Iterable

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.operators import operator


def op_macs(graph: Graph, op: Op) -> int:
    """Multiply-adds of one operator for one image; of one row where an image has several.

    Convolutions and dense layers: results times the inputs that each sums up. Other operators count
    nothing, as is the custom, but for products of matrices.
    """
    result = graph.tensors[op.outputs[0]].shape
    values = math.prod(result[1:])
    if operator(op.kind).has_weights:
        weights = graph.tensors[op.inputs[1]]
        outputs = weights.shape[operator(op.kind).weight_axis or 0]
        return values * (math.prod(weights.shape) // max(outputs, 1))
    if op.kind == "BATCH_MATMUL":
        left = graph.tensors[op.inputs[0]].shape
        return values * left[-2 if op.options.get("adjX") else -1]
    return 0


def constant_bytes(graph: Graph, ops: Iterable[Op]) -> int:
    """Bytes of the constants that some operators read, each counted once."""
    read = {index for op in ops for index in op.inputs if index >= 0}
    return sum(data.nbytes for index in read if (data := graph.tensors[index].data) is not None)


def share_sentence(graph: Graph, ops: Iterable[Op]) -> str:
    """``12.5% of the multiply-adds, 1.2 of 30.1 kB of constants in float32``.

    Args:
        graph: a float graph.
        ops: some of its operators.
    """
    some = tuple(ops)
    whole = sum(op_macs(graph, op) for op in graph.ops)
    part = sum(op_macs(graph, op) for op in some)
    kept, total = constant_bytes(graph, some), constant_bytes(graph, graph.ops)
    return (
        f"{part / whole if whole else 0.0:.1%} of the multiply-adds, {kept / 1000:.1f} of "
        f"{total / 1000:.1f} kB of constants as float32"
    )
