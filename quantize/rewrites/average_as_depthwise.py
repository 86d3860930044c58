"""Turns average pools into depthwise convolutions of one weight, which every runtime rounds in the same way.

LiteRT divides an average pool's integer sum and rounds halves away from zero, ONNX Runtime averages in
float and rounds halves to even: in int8 their answers are a step apart now and then. Both requantize a
convolution's sum in the same way. The result also gets a range of its own, where an average pool has to
keep its input's scale.
"""

from __future__ import annotations

import numpy as np

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.quantize.network.averages import AVERAGES, obstacle
from mnist_export.quantize.rewrites.chains import only_reader
from mnist_export.quantize.rewrites.depthwise import add_average
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage


def average_as_depthwise(graph: Graph, kinds: frozenset[str] = AVERAGES) -> Graph:
    """Turn AVERAGE_POOL_2D, and MEAN over height and width, into DEPTHWISE_CONV_2D.

    Args:
        graph: of float32, or of int8 that other tools quantized.
        kinds: those of `AVERAGES` that are turned.

    Returns:
        The graph with the same function (in int8 but for the rounding of means); the same object where there
        is no such average.
    """
    if not any(_can_change(graph, op, kinds) for op in graph.ops):
        return graph
    changed = {op: _ending(graph, op) for op in graph.ops if _can_change(graph, op, kinds)}
    gone = {last for op, last in changed.items() if last is not op}
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op in changed:
            _change(editor, op, changed[op].outputs[0])
        elif op not in gone:
            editor.keep(op)
    return editor.finish()


def _ending(graph: Graph, op: Op) -> Op:
    """The operator whose result the convolution gives: the average, or a QUANTIZE that alone reads it.

    A convolution gives any scale, and one rounding less.
    """
    after = only_reader(graph, op)
    target = graph.tensors[op.outputs[0]]
    if after is None or after.kind != "QUANTIZE" or target.dtype != np.int8:
        return op
    return after if graph.tensors[after.outputs[0]].dtype == np.int8 else op


def _can_change(graph: Graph, op: Op, kinds: frozenset[str]) -> bool:
    types = {graph.tensors[i].dtype for i in (op.inputs[0], *op.outputs)}
    known = types in ({np.dtype(np.float32)}, {np.dtype(np.int8)})
    return op.kind in kinds and known and not obstacle(graph, op)


def _change(editor: GraphEditor, op: Op, result: int) -> None:
    if op.kind == "MEAN":
        height, width = editor.tensor(op.inputs[0]).shape[1:3]
        add_average(editor, op.inputs[0], result, kernel=(height, width))
        return
    add_average(
        editor,
        op.inputs[0],
        result,
        kernel=(int(op.options["filterHeight"]), int(op.options["filterWidth"])),
        strides=(int(op.options["strideH"]), int(op.options["strideW"])),
        padding=int(op.options["padding"]),
        activation=int(op.options.get("fusedActivationFunction", 0)),
    )


def _kinds_of(graph: Graph) -> frozenset[str]:
    """A float graph's means over the whole map are left: their scales can be chosen, see `without_ties`."""
    is_float = all(graph.tensors[index].dtype == np.float32 for index in graph.inputs)
    return AVERAGES - {"MEAN"} if is_float else AVERAGES


REWRITE = Rewrite(
    name="average_as_depthwise",
    stage=Stage.FLOAT,
    summary="average pools become depthwise convolutions, which every runtime rounds in the same way in int8",
    apply=lambda graph, choose: average_as_depthwise(graph, _kinds_of(graph)),
    only_int8=True,
)
