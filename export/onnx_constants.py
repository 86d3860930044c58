"""Takes away the DEQUANTIZE between a stored constant and its operator, which ONNX does by itself."""

from __future__ import annotations

from dataclasses import replace

from mnist_export.core.graph import Graph


def inline_stored_constants(graph: Graph) -> Graph:
    """Let operators read float16 constants directly; the ONNX writer expands them with a Cast.

    Args:
        graph: any graph.

    Returns:
        The same graph where nothing is stored that way.
    """
    stored = {
        op.outputs[0]: op.inputs[0]
        for op in graph.ops
        if op.kind == "DEQUANTIZE" and graph.tensors[op.inputs[0]].is_constant
    }
    if not stored:
        return graph
    ops = tuple(
        replace(op, inputs=tuple(stored.get(i, i) for i in op.inputs))
        for op in graph.ops
        if not stored.keys() & set(op.outputs)
    )
    return replace(graph, ops=ops).pruned()
