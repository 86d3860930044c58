"""Per-channel affine steps between layers: what is left of BatchNormalization, Rescaling and the pixel rule.

A step ``y = gain * x + shift`` is pushed into the layers around it wherever that leaves the function as it
was; what cannot move becomes a depthwise 1x1 convolution, which is exact.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Activation, Graph, Op, Padding
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family, operator
from mnist_export.quantize.exact.folding import (
    AFFINE,
    EXACT_ACTIVATIONS,
    activation_of,
    scale_inputs,
    scale_outputs,
)
from mnist_export.quantize.exact.moves import MOVES
from mnist_export.quantize.network.geometry import window_of
from mnist_export.quantize.network.operators import WEIGHTED

_HOMOGENEOUS = {Activation.NONE, Activation.RELU}

Vector = npt.NDArray[np.float64]


def find_affine(graph: Graph) -> Graph:
    """Turn elementwise operators with a per-channel constant into AFFINE steps."""
    editor = GraphEditor.in_place(graph)
    for position, op in enumerate(graph.ops):
        if _takes_constant(op) and any(graph.tensors[i].is_constant for i in op.inputs):
            editor.ops[position] = _affine_of(graph, op) or op
        elif (kind := operator(op.kind).activation) in EXACT_ACTIVATIONS:
            channels = graph.tensors[op.outputs[0]].shape[-1]
            editor.ops[position] = step(
                op.inputs[0], op.outputs[0], np.ones(channels), np.zeros(channels), kind
            )
    return editor.snapshot()


def _takes_constant(op: Op) -> bool:
    return op.kind == "DIV" or family(op.kind) in {Family.PRODUCT, Family.SUM}


def step(
    source: int, target: int, gain: Vector, shift: Vector, activation: Activation = Activation.NONE
) -> Op:
    """An AFFINE step, an operator of this package's own that no file ever holds."""
    return Op(
        kind=AFFINE,
        inputs=(source,),
        outputs=(target,),
        options={"gain": gain, "shift": shift, "fusedActivationFunction": int(activation)},
    )


def _affine_of(graph: Graph, op: Op) -> Op | None:
    """The AFFINE step that an operator is; None where its constant is not one value a channel."""
    target = graph.tensors[op.outputs[0]]
    source, constant = op.inputs
    swapped = graph.tensors[source].is_constant
    if swapped:
        source, constant = constant, source
    channels = target.shape[-1]
    values = graph.tensors[constant].real().astype(np.float64)
    if values.size not in {1, channels} or (values.size > 1 and values.shape[-1] != channels):
        return None
    if graph.tensors[source].shape != target.shape or (op.kind == "DIV" and swapped):
        return None
    vector = np.broadcast_to(values.ravel(), (channels,)).copy()
    one, zero = np.ones(channels), np.zeros(channels)
    gain, shift = {
        "MUL": (vector, zero),
        "DIV": (1 / np.where(vector == 0, 1, vector), zero),
        "ADD": (one, vector),
        "SUB": (-one, vector) if swapped else (one, -vector),
    }[op.kind]
    return step(source, op.outputs[0], gain, shift, activation_of(op))


def fold_affine(graph: Graph) -> tuple[Graph, tuple[str, ...]]:
    """Push AFFINE steps into the layers before and after them, until nothing moves.

    Returns:
        The graph, and notes on where a fold is not the same function to the last bit.
    """
    notes: list[str] = []
    editor = GraphEditor.in_place(graph)
    moved = True
    while moved:
        moved = any(
            _merge(editor, op) or _fold_back(editor, op) or _fold_forward(editor, op, notes)
            for op in list(editor.ops)
            if op.kind == AFFINE
        )
    return editor.finish(), tuple(dict.fromkeys(notes))


def _merge(editor: GraphEditor, op: Op) -> bool:
    """Join two AFFINE steps in a row."""
    before = editor.producer(op.inputs[0])
    if (
        before is None
        or before.kind != AFFINE
        or activation_of(before)
        or not editor.is_private(op.inputs[0])
    ):
        return False
    gain = op.options["gain"] * before.options["gain"]
    shift = op.options["gain"] * before.options["shift"] + op.options["shift"]
    editor.remove(before)
    editor.exchange(op, step(before.inputs[0], op.outputs[0], gain, shift, activation_of(op)))
    return True


def _fold_back(editor: GraphEditor, op: Op) -> bool:
    """Fold into the layer before: all of it where that has no activation, else the magnitude of the gain."""
    source, pools = op.inputs[0], []
    before = editor.producer(source)
    while before is not None and before.kind == "MAX_POOL_2D" and editor.is_private(source):
        pools.append(source)
        source = before.inputs[0]
        before = editor.producer(source)
    if before is None or before.kind not in WEIGHTED or not editor.is_private(source):
        return False
    gain, shift = op.options["gain"], op.options["shift"]
    kind = activation_of(before)
    if kind == Activation.NONE and not pools:
        scale_outputs(editor, before, gain, shift)
        editor.set_result(before, outputs=op.outputs, activation=activation_of(op))
        editor.remove(op)
        return True
    size = np.where(gain == 0, 1.0, np.abs(gain))
    if kind not in _HOMOGENEOUS or np.all(size == 1):
        return False
    scale_outputs(editor, before, size, np.zeros(gain.shape))
    editor.exchange(op, step(op.inputs[0], op.outputs[0], np.sign(gain), shift, activation_of(op)))
    return True


def _fold_forward(editor: GraphEditor, op: Op, notes: list[str]) -> bool:
    """Fold into every layer behind, where all of them can take it."""
    if activation_of(op):
        return False
    gain, shift = op.options["gain"], op.options["shift"]
    pure = bool(np.all(shift == 0))
    targets: list[Op] = []
    pending = [op.outputs[0]]
    while pending:
        tensor = pending.pop()
        if tensor in editor.outputs:
            return False
        for consumer in editor.consumers(tensor):
            if consumer.kind in WEIGHTED and consumer.inputs[0] == tensor:
                targets.append(consumer)
            elif _lets_through(editor, consumer, gain, pure=pure):
                pending.append(consumer.outputs[0])
            else:
                return False
    padded = [] if pure else [t for t in targets if _leaves_input(editor, t)]
    fits = all(_width(editor, t) % gain.size == 0 for t in targets)
    if not targets or not fits or (padded and not op.options.get("centred")):
        return False
    notes.extend(
        f"layer '{editor.tensor(target.outputs[0]).name}' pads with the pixel nearest to 0, which is off by "
        "at most half a pixel step at the image's border"
        for target in padded
    )
    for target in targets:
        scale_inputs(editor, target, gain, shift)
    editor.bypass(op)
    return True


def _lets_through(editor: GraphEditor, op: Op, gain: Vector, *, pure: bool) -> bool:
    """Whether a layer only moves values, so that a step before it may as well come after it."""
    known = operator(op.kind)
    if op.kind not in MOVES or not (known.passes_scale if pure else known.passes_shift):
        return False
    if known.family == Family.POOL:
        return bool(np.all(gain > 0))
    if known.family == Family.REDUCTION:
        return False
    return op.kind != "PAD" or not _adds_channels(editor, op)


def _leaves_input(editor: GraphEditor, op: Op) -> bool:
    if op.kind == "FULLY_CONNECTED":
        return False
    weights, source = editor.tensor(op.inputs[1]).shape, editor.tensor(op.inputs[0]).shape
    window = window_of(op, source[1:3], (weights[1], weights[2]))
    return bool(op.options.get("padding") == Padding.SAME and window.is_padded)


def _adds_channels(editor: GraphEditor, op: Op) -> bool:
    return editor.tensor(op.inputs[0]).shape[-1] != editor.tensor(op.outputs[0]).shape[-1]


def _width(editor: GraphEditor, op: Op) -> int:
    weights = editor.tensor(op.inputs[1]).shape
    if op.kind == "DEPTHWISE_CONV_2D":
        return editor.tensor(op.inputs[0]).shape[3]
    return weights[-1]


def lower_affine(graph: Graph) -> Graph:
    """Turn the AFFINE steps that stayed into depthwise 1x1 convolutions, reshaped to rank 4 where needed."""
    editor = GraphEditor.in_place(graph)
    for op in graph.ops:
        if op.kind != AFFINE:
            continue
        source, target = editor.tensor(op.inputs[0]), editor.tensor(op.outputs[0])
        if len(source.shape) not in {2, 3, 4}:
            raise UnsupportedError(
                f"exact int8: '{target.name}' scales a tensor of rank {len(source.shape)}."
            )
        kernel = editor.constant(
            f"{target.name}/gain", op.options["gain"].astype(np.float32).reshape(1, 1, 1, -1)
        )
        bias = editor.constant(f"{target.name}/shift", op.options["shift"].astype(np.float32))
        options = {
            "padding": Padding.VALID, "strideH": 1, "strideW": 1, "depthMultiplier": 1,
            "dilationHFactor": 1, "dilationWFactor": 1,
            "fusedActivationFunction": int(activation_of(op)),
        }  # fmt: skip
        made = Op(
            kind="DEPTHWISE_CONV_2D",
            inputs=(op.inputs[0], kernel, bias),
            outputs=op.outputs,
            options_type="DepthwiseConv2DOptions",
            options=options,
        )
        if len(source.shape) == 4:
            editor.exchange(op, made)
            continue
        middle = (1,) * (4 - len(source.shape)) + tuple(source.shape[1:])
        entered = editor.add_tensor(replace(source, name=f"{target.name}/wide", shape=(-1, *middle)))
        left = editor.add_tensor(replace(target, name=f"{target.name}/scaled", shape=(-1, *middle)))
        editor.exchange(
            op,
            editor.reshape_op(op.inputs[0], entered),
            replace(made, inputs=(entered, kernel, bias), outputs=(left,)),
            editor.reshape_op(left, op.outputs[0]),
        )
    return editor.snapshot()
