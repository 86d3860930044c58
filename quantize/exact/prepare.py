"""Rewrites a float graph into one that holds only operators with an exact integer form.

The function stays the same (float32 rounding aside): every rewrite happens before anything is quantized.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operators import operator
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.exact.affine import find_affine, fold_affine, lower_affine, step
from mnist_export.quantize.exact.folding import EXACT_ACTIVATIONS, activation_of, refusal
from mnist_export.quantize.exact.forms import FUSING, Form, form_of, obstacle
from mnist_export.quantize.exact.lookups import expanded, find_lookups
from mnist_export.quantize.exact.means import lower_means
from mnist_export.quantize.network.operators import WEIGHTED
from mnist_export.quantize.rewrites.depthwise import WEIGHTS

INPUT_STEP = 2.0**-8


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A float graph that can be made exact.

    Attributes:
        graph: the float function, of TFLite's own operators.
        outline: the same with a LOOKUP for each function of single values: every operator has a form of
            `forms.Form`. Tensors have the same indices in both.
        input_range: what pixel values 0 and 255 become for this graph: whole multiples of 1/256.
        input_quant: the input's scale 1/256, and its zero point.
        averaging: outputs of layers that stand for an average pool, whose weights sum to one.
        notes: what the user should know.
    """

    graph: Graph
    outline: Graph
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
    graph = flatten_for_dense(fuse_activations(lower_parts(graph)))
    graph = find_affine(find_lookups(graph))
    graph, own_range, quant = enter_pixels(graph, input_range)
    graph, notes = fold_affine(graph)
    graph = separate_input(graph)
    graph = lower_affine(graph)
    graph = lower_means(graph)
    check(graph)
    graph = graph.pruned()
    averaging = frozenset(
        op.outputs[0]
        for op in graph.ops
        if op.kind in WEIGHTED and graph.tensors[op.inputs[1]].name.endswith(WEIGHTS)
    )
    return Prepared(
        graph=expanded(graph),
        outline=graph,
        input_range=own_range,
        input_quant=quant,
        averaging=averaging,
        notes=notes,
    )


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
            or before.kind not in FUSING
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
    """Put a step of its own between the input and what joins several tensors, which share another scale."""
    editor = GraphEditor.in_place(graph)
    (entry,) = graph.inputs
    shared = {op.kind for op in graph.consumers(entry) if _shares_scale(graph, op)}
    if not shared:
        return graph
    tensor = graph.tensors[entry]
    channels = tensor.shape[-1]
    inner = editor.add_tensor(replace(tensor, name=f"{tensor.name}/own"))
    editor.redirect(entry, inner, kinds=shared)
    editor.ops.insert(0, step(entry, inner, np.ones(channels), np.zeros(channels)))
    return editor.snapshot()


def _shares_scale(graph: Graph, op: Op) -> bool:
    carried = [i for i in op.inputs if i >= 0 and not graph.tensors[i].is_constant]
    form = form_of(graph, op)
    return form == Form.SUM or (form == Form.MOVE and len(carried) > 1)


def lower_parts(graph: Graph) -> Graph:
    """Turn SPLIT, SPLIT_V and UNPACK, which have several results, into slices of one each."""
    editor = GraphEditor.in_place(graph)
    for op in graph.ops:
        if op.kind in {"SPLIT", "SPLIT_V", "UNPACK"}:
            editor.exchange(op, *_slices(editor, op))
    return editor.snapshot()


def _slices(editor: GraphEditor, op: Op) -> list[Op]:
    """One SLICE, and for UNPACK one RESHAPE, for each result."""
    value = op.inputs[1] if op.kind == "SPLIT" else op.inputs[0]
    source = editor.tensor(value)
    axis = int(op.options["axis"]) if op.kind == "UNPACK" else 0
    if op.kind != "UNPACK":
        data = editor.tensor(op.inputs[0 if op.kind == "SPLIT" else 2]).data
        axis = int(data.ravel()[0]) if data is not None else 0
    axis %= len(source.shape)
    made: list[Op] = []
    first = 0
    for index in op.outputs:
        target = editor.tensor(index)
        size = 1 if op.kind == "UNPACK" else target.shape[axis]
        begin, sizes = np.zeros(len(source.shape), np.int32), np.full(len(source.shape), -1, np.int32)
        begin[axis], sizes[axis] = first, size
        first += size
        shape = (*source.shape[:axis], size, *source.shape[axis + 1 :])
        taken = index if op.kind != "UNPACK" else editor.activation_like(index, f"{target.name}/part", shape)
        operands = (
            editor.constant(f"{target.name}/begin", begin),
            editor.constant(f"{target.name}/size", sizes),
        )
        made.append(
            Op(kind="SLICE", inputs=(value, *operands), outputs=(taken,), options_type="SliceOptions")
        )
        if op.kind == "UNPACK":
            made.append(editor.reshape_op(taken, index))
    return made


def check(graph: Graph) -> None:
    """Refuse every operator that has no exact form, and forms of the others that have none.

    Raises:
        UnsupportedError: with the layer's name.
    """
    for op in graph.ops:
        why = obstacle(graph, op)
        if why:
            raise refusal(graph, op, why)
