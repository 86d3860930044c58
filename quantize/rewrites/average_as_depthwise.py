"""Turns average pools into depthwise convolutions of one weight, which every runtime rounds alike.

LiteRT divides an average pool's integer sum and rounds halves away from zero, ONNX Runtime averages in
float and rounds halves to even: in int8 their answers are a step apart now and then. Both requantize a
convolution's sum in the same way. The result also gets a range of its own, where an average pool has to
keep its input's scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op, Padding, Tensor
from mnist_export.quantize.exact.geometry import window_of
from mnist_export.quantize.rewrites.chains import only_reader
from mnist_export.quantize.rewrites.editing import GraphEditor
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage

AVERAGES = frozenset({"AVERAGE_POOL_2D", "MEAN"})
WEIGHTS = "/average"
"""How the names of the made weights end."""


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
    source, target = editor.tensor(op.inputs[0]), editor.tensor(result)
    channels = source.shape[3]
    kernel, strides = source.shape[1:3], (1, 1)
    if op.kind == "AVERAGE_POOL_2D":
        kernel = (int(op.options["filterHeight"]), int(op.options["filterWidth"]))
        strides = (int(op.options["strideH"]), int(op.options["strideW"]))
    share = 1 / (kernel[0] * kernel[1])
    weights, zeros = _constants(source, (1, *kernel, channels), share)
    output = result
    if len(target.shape) != 4:
        output = editor.activation_like(output, f"{target.name}/pooled", (-1, 1, 1, channels))
    editor.add(
        "DEPTHWISE_CONV_2D",
        (
            op.inputs[0],
            editor.constant(f"{target.name}{WEIGHTS}", *weights),
            editor.constant(f"{target.name}/zero", *zeros),
        ),
        (output,),
        "DepthwiseConv2DOptions",
        {
            "padding": int(op.options.get("padding", Padding.VALID)),
            "strideH": strides[0],
            "strideW": strides[1],
            "depthMultiplier": 1,
            "dilationHFactor": 1,
            "dilationWFactor": 1,
            "fusedActivationFunction": int(op.options.get("fusedActivationFunction", 0)),
        },
    )
    if output != result:
        editor.reshape(output, result)


_Constant = tuple[npt.NDArray[Any], QuantParams | None]


def _constants(source: Tensor, shape: tuple[int, ...], share: float) -> tuple[_Constant, _Constant]:
    """Weights of one value and a bias of zeros: float32, or integers where the graph is of integers."""
    channels = shape[-1]
    if source.quant is None:
        return (np.full(shape, share, np.float32), None), (np.zeros(channels, np.float32), None)
    scale = np.full(channels, share / 127, np.float32)
    of_sums = QuantParams.per_channel(scale * source.quant.scale[0], 0)
    return (np.full(shape, 127, np.int8), QuantParams.per_channel(scale, 3)), (
        np.zeros(channels, np.int32),
        of_sums,
    )


def _kinds_of(graph: Graph) -> frozenset[str]:
    """A float graph's means over the whole map are left: their scales can be chosen, see `tie_free`."""
    is_float = all(graph.tensors[index].dtype == np.float32 for index in graph.inputs)
    return AVERAGES - {"MEAN"} if is_float else AVERAGES


REWRITE = Rewrite(
    name="average_as_depthwise",
    stage=Stage.FLOAT,
    summary="average pools become depthwise convolutions, which every runtime rounds alike in int8",
    apply=lambda graph, choose: average_as_depthwise(graph, _kinds_of(graph)),
    only_int8=True,
)
