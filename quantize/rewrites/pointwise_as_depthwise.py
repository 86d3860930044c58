"""Turns maps of single values (a factor and a shift a channel, and a clip) into depthwise convolutions.

Where a BatchNormalization follows a concatenation or a sum, or a hard sigmoid follows a mean, there is no
layer before it whose weights could take it. As MUL, ADD and a clip it rounds two or three times, with one
scale for all channels; as a convolution over one pixel it rounds once, has a scale a channel, and every
runtime requantizes its sum in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family, operator
from mnist_export.quantize.network.functions import left_alone
from mnist_export.quantize.network.operators import WEIGHTED
from mnist_export.quantize.rewrites.chains import activation_of, channel_vector, composed, only_reader
from mnist_export.quantize.rewrites.depthwise import add_depthwise
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class _Map:
    """``clip(scale * x + shift)`` by channel.

    Attributes:
        source: the tensor x.
        ops: the operators that make it up, in order.
        scale: shape (channels,).
        shift: shape (channels,).
        activation: the clip.
    """

    source: int
    ops: tuple[Op, ...]
    scale: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]
    activation: Activation


def pointwise_as_depthwise(graph: Graph) -> Graph:
    """Turn each chain of MUL, ADD and SUB by constants a channel, and its clip, into DEPTHWISE_CONV_2D.

    Args:
        graph: of float32.

    Returns:
        The graph with the same float function; the same object where there is no such chain. Chains that the
        layer before can take are left to it.
    """
    found: dict[Op, _Map] = {}
    gone: set[Op] = set()
    left = left_alone(graph)
    convolutions = {op for op in graph.ops if op.kind in WEIGHTED}
    for op in graph.ops:
        if op in gone or op in left:
            continue
        made = _map_from(graph, op)
        if made is None:
            continue
        if _folds(graph, made.source, convolutions):
            left.update(made.ops)
        else:
            found[op] = made
            gone.update(made.ops)
            convolutions.add(made.ops[-1])
    if not found:
        return graph
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op in found:
            _add(editor, found[op])
        elif op not in gone:
            editor.keep(op)
    return editor.finish()


def _map_from(graph: Graph, first: Op) -> _Map | None:
    value = next((i for i in first.inputs if i >= 0 and not graph.tensors[i].is_constant), -1)
    source = graph.tensors[value] if value >= 0 else None
    if source is None or len(source.shape) != 4 or source.dtype != np.float32:
        return None
    scale, shift = np.ones(source.shape[3]), np.zeros(source.shape[3])
    ops: list[Op] = []
    op: Op | None = first
    while op is not None:
        clip = operator(op.kind).activation
        if ops and clip is not None:
            return _Map(source=value, ops=(*ops, op), scale=scale, shift=shift, activation=clip)
        vector = _operand(graph, op, ops[-1].outputs[0] if ops else value)
        if vector is None:
            break
        scale, shift = composed(op, vector, scale, shift)
        ops.append(op)
        if activation_of(op) != Activation.NONE:
            break
        op = only_reader(graph, op)
    if not ops:
        return None
    return _Map(source=value, ops=tuple(ops), scale=scale, shift=shift, activation=activation_of(ops[-1]))


def _operand(graph: Graph, op: Op, value: int) -> npt.NDArray[np.float64] | None:
    """The constant of an operator of a chain, one number a channel; None where the chain ends before it."""
    if family(op.kind) not in {Family.PRODUCT, Family.SUM} or (op.kind == "SUB" and op.inputs[0] != value):
        return None
    return channel_vector(graph, op, value, clipped=True)


def _folds(graph: Graph, value: int, convolutions: set[Op]) -> bool:
    """Whether the map's source is a weighted layer that nobody else reads: other rewrites fold it there."""
    producer = graph.producer(value)
    return producer in convolutions and producer is not None and only_reader(graph, producer) is not None


def _add(editor: GraphEditor, found: _Map) -> None:
    target = found.ops[-1].outputs[0]
    name = editor.tensor(target).name
    scale = editor.constant(f"{name}/scale", found.scale.astype(np.float32).reshape(1, 1, 1, -1))
    shift = editor.constant(f"{name}/shift", found.shift.astype(np.float32))
    add_depthwise(editor, (found.source, scale, shift), target, activation=int(found.activation))


REWRITE = Rewrite(
    name="pointwise_as_depthwise",
    stage=Stage.FLOAT,
    summary="a factor and a shift a channel that no layer before takes become a convolution over one pixel",
    apply=lambda graph, choose: pointwise_as_depthwise(graph),
    only_int8=True,
)
