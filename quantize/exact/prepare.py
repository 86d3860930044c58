"""Rewrites a float graph into one that holds only operators with an exact integer form.

The function stays the same (float32 rounding aside): every rewrite happens before anything is quantized.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Activation, Graph
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operators import operator
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.exact.affine import find_affine, fold_affine, lower_affine, step
from mnist_export.quantize.exact.arithmetic import KERNELS
from mnist_export.quantize.exact.folding import AFFINE, EXACT_ACTIVATIONS, activation_of, refusal
from mnist_export.quantize.network.averages import AVERAGES, obstacle
from mnist_export.quantize.network.operators import WEIGHTED
from mnist_export.quantize.rewrites.average_as_depthwise import average_as_depthwise
from mnist_export.quantize.rewrites.depthwise import WEIGHTS

INPUT_STEP = 2.0**-8
OWN_SCALES = {"ADD", "CONCATENATION"}
"""Operators that choose a scale for all of their operands."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A float graph that can be made exact.

    Attributes:
        graph: only operators of `arithmetic.KERNELS`.
        input_range: what pixel values 0 and 255 become for this graph: whole multiples of 1/256.
        input_quant: the input's scale 1/256, and its zero point.
        averaging: outputs of layers that stand for an average pool, whose weights sum to one.
        notes: what the user should know.
    """

    graph: Graph
    input_range: InputRange
    input_quant: QuantParams
    averaging: frozenset[int]
    notes: tuple[str, ...]


def prepare(graph: Graph, input_range: InputRange) -> Prepared:
    """Fold what can be folded, turn averages and leftovers into depthwise convolutions, refuse the rest.

    Args:
        graph: a float graph, as `quantize.lowering.lower` gives it.
        input_range: what pixel values 0 and 255 become for it.

    Raises:
        UnsupportedError: a layer with no exact form; the message names it.
    """
    graph = flatten_for_dense(fuse_activations(graph))
    graph = find_affine(graph)
    graph, own_range, quant = enter_pixels(graph, input_range)
    graph, notes = fold_affine(graph)
    graph = separate_input(graph)
    graph = lower_affine(graph)
    graph = lower_averages(graph)
    check(graph)
    graph = graph.pruned()
    averaging = frozenset(
        op.outputs[0]
        for op in graph.ops
        if op.kind == "DEPTHWISE_CONV_2D" and graph.tensors[op.inputs[1]].name.endswith(WEIGHTS)
    )
    return Prepared(graph=graph, input_range=own_range, input_quant=quant, averaging=averaging, notes=notes)


def fuse_activations(graph: Graph) -> Graph:
    """Move a RELU or RELU6 of its own into the layer before it."""
    editor = GraphEditor.in_place(graph)
    for op in graph.ops:
        kind = operator(op.kind).activation
        if kind is None or kind not in EXACT_ACTIVATIONS:
            continue
        before = editor.producer(op.inputs[0])
        if (
            before is None
            or before.kind not in WEIGHTED | {"ADD"}
            or activation_of(before)
            or not editor.is_private(op.inputs[0])
        ):
            continue
        editor.remove(op)
        editor.set_result(before, outputs=op.outputs, activation=kind)
    return editor.finish()


def flatten_for_dense(graph: Graph) -> Graph:
    """Put a RESHAPE before a dense layer that flattens its input by itself."""
    editor = GraphEditor.in_place(graph)
    for op in graph.ops:
        source = editor.tensor(op.inputs[0])
        if op.kind != "FULLY_CONNECTED" or len(source.shape) == 2:
            continue
        width = editor.tensor(op.inputs[1]).shape[-1]
        if len(editor.tensor(op.outputs[0]).shape) != 2 or int(np.prod(source.shape[1:])) != width:
            continue
        flat = editor.add_tensor(
            replace(source, name=f"{editor.tensor(op.outputs[0]).name}/flat", shape=(-1, width))
        )
        editor.exchange(op, editor.reshape_op(op.inputs[0], flat), replace(op, inputs=(flat, *op.inputs[1:])))
    return editor.snapshot()


def enter_pixels(graph: Graph, input_range: InputRange) -> tuple[Graph, InputRange, QuantParams]:
    """Let the graph take ``(pixel - p) / 256``, and undo that with an AFFINE step behind the input.

    ``p`` is the pixel nearest to real 0, or 0 where no pixel is near it; in real numbers the step is exact:
    ``x = lo + pixel * (hi - lo) / 255``.

    Returns:
        The graph, its own input range, and the input's scale and zero point.
    """
    (entry,) = graph.inputs
    channels = graph.tensors[entry].shape[-1]
    size = (input_range.hi - input_range.lo) / 255.0
    black = -input_range.lo / size
    nearest = float(np.rint(black))
    centred = 0 <= nearest <= 255
    point = nearest if centred else 0.0
    quant = QuantParams.per_tensor(INPUT_STEP, int(point) - 128)
    own = InputRange(lo=-point * INPUT_STEP, hi=(255 - point) * INPUT_STEP)
    editor = GraphEditor.in_place(graph)
    inner = editor.add_tensor(replace(graph.tensors[entry], name=f"{graph.tensors[entry].name}/real"))
    editor.redirect(entry, inner)
    undo = step(entry, inner, np.full(channels, size / INPUT_STEP), np.full(channels, size * (point - black)))
    editor.ops.insert(0, replace(undo, options=dict(undo.options) | {"centred": centred}))
    return editor.snapshot(), own, quant


def separate_input(graph: Graph) -> Graph:
    """Put a step of its own between the input and an ADD or CONCATENATION, which choose other scales."""
    editor = GraphEditor.in_place(graph)
    (entry,) = graph.inputs
    if not any(op.kind in OWN_SCALES for op in editor.consumers(entry)):
        return graph
    tensor = graph.tensors[entry]
    channels = tensor.shape[-1]
    inner = editor.add_tensor(replace(tensor, name=f"{tensor.name}/own"))
    editor.redirect(entry, inner, kinds=OWN_SCALES)
    editor.ops.insert(0, step(entry, inner, np.ones(channels), np.zeros(channels)))
    return editor.snapshot()


def lower_averages(graph: Graph) -> Graph:
    """Turn AVERAGE_POOL_2D and MEAN over height and width into depthwise convolutions of one weight.

    Raises:
        UnsupportedError: an average that none stands for; the message names the layer.
    """
    for op in graph.ops:
        why = obstacle(graph, op) if op.kind in AVERAGES else ""
        if why:
            raise refusal(graph, op, why)
    return average_as_depthwise(graph)


def check(graph: Graph) -> None:
    """Refuse every operator that has no exact form, and forms of the others that have none.

    Raises:
        UnsupportedError: with the layer's name.
    """
    for op in graph.ops:
        if op.kind not in KERNELS or op.kind == AFFINE:
            raise refusal(graph, op, f"the operator {op.kind}")
        if activation_of(op) not in {Activation.NONE, *EXACT_ACTIVATIONS}:
            raise refusal(graph, op, f"{op.kind} with the activation {activation_of(op).name}")
        source = graph.tensors[op.inputs[0]]
        if op.kind in WEIGHTED:
            weights = graph.tensors[op.inputs[1]]
            if not weights.is_constant:
                raise refusal(graph, op, "a layer that computes its weights at run time")
            if op.kind == "FULLY_CONNECTED" and len(source.shape) != 2:
                raise refusal(
                    graph, op, f"dense over an input of rank {len(source.shape)}; put a Flatten before"
                )
            if op.kind == "CONV_2D" and weights.shape[3] != source.shape[3]:
                raise refusal(graph, op, "a convolution in groups")
        elif op.kind == "ADD":
            shapes = {graph.tensors[i].shape for i in (*op.inputs, *op.outputs)}
            if len(shapes) != 1 or any(graph.tensors[i].is_constant for i in op.inputs):
                raise refusal(graph, op, "an addition that broadcasts")
        elif activation_of(op):
            raise refusal(graph, op, f"{op.kind} with a fused activation")
