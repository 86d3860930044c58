"""Turns changes of scale between two int8 tensors into depthwise convolutions over one pixel.

TensorFlow's converter puts a QUANTIZE before a concatenation whose branches have scales of their own.
LiteRT multiplies there by a factor of eight fractional bits, ONNX Runtime in float: a network of
concatenations trained in int8 differed in a tenth of its logits. Both requantize a convolution's sum alike.
"""

from __future__ import annotations

import math

import numpy as np

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.quantize.rewrites.depthwise import add_average
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage


def requantize_as_depthwise(graph: Graph) -> Graph:
    """Turn each QUANTIZE from int8 to int8 into a DEPTHWISE_CONV_2D with a window of one pixel.

    Args:
        graph: of int8 that another tool quantized.

    Returns:
        The graph with the same function but for the rounding of these codes; the same object where there is
        no such operator.
    """
    changed = {op for op in graph.ops if _can_change(graph, op)}
    if not changed:
        return graph
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op in changed:
            source, target = op.inputs[0], op.outputs[0]
            shape = editor.tensor(source).shape
            name = editor.tensor(target).name
            image = shape[1:] if len(shape) == 4 else (1, math.prod(shape[1:-1]), shape[-1])
            add_average(editor, editor.reshaped(source, f"{name}/image", image), target, kernel=(1, 1))
        else:
            editor.keep(op)
    return editor.finish()


def _can_change(graph: Graph, op: Op) -> bool:
    ends = [graph.tensors[i] for i in (op.inputs[0], op.outputs[0])]
    return op.kind == "QUANTIZE" and all(t.dtype == np.int8 and len(t.shape) >= 2 for t in ends)


REWRITE = Rewrite(
    name="requantize_as_depthwise",
    stage=Stage.FLOAT,
    summary="changes of scale become depthwise convolutions, which every runtime rounds in the same "
    "way in int8",
    apply=lambda graph, choose: requantize_as_depthwise(graph),
    only_int8=True,
)
