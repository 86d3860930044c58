"""Finds chains of operators in which each alone reads the one before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family

Vector = npt.NDArray[np.float64]


def only_reader(graph: Graph, op: Op) -> Op | None:
    """The one operator that reads an operator's result, or None where it is read twice or put out."""
    readers = graph.consumers(op.outputs[0])
    return readers[0] if len(readers) == 1 and op.outputs[0] not in graph.outputs else None


def activation_of(op: Op) -> Activation:
    """The activation that an operator applies to its result."""
    return Activation(op.options.get("fusedActivationFunction", 0))


def channel_vector(
    graph: Graph, op: Op, value: int, *, clipped: bool = False
) -> npt.NDArray[np.float64] | None:
    """A binary operator's constant operand as one number a channel, or None where it is no such thing.

    Args:
        graph: the graph.
        op: such as ADD or MUL.
        value: the index of the operand that is not constant.
        clipped: whether the operator may apply an activation to its result.
    """
    others = [i for i in op.inputs if i != value]
    constant = graph.tensors[others[0]] if len(op.inputs) == 2 and len(others) == 1 else None
    if constant is None or constant.data is None or (activation_of(op) != Activation.NONE and not clipped):
        return None
    channels = graph.tensors[value].shape[-1]
    if constant.data.size != 1 and (constant.data.size != channels or constant.data.shape[-1] != channels):
        return None
    return np.broadcast_to(constant.real().astype(np.float64).ravel(), (channels,)).copy()


def composed(op: Op, vector: Vector, scale: Vector, shift: Vector) -> tuple[Vector, Vector]:
    """The map ``scale * x + shift`` with a MUL, ADD or SUB of a constant a channel behind it.

    Args:
        op: the operator.
        vector: its constant, shape (channels,).
        scale: shape (channels,).
        shift: shape (channels,).
    """
    if op.kind == "MUL":
        return scale * vector, shift * vector
    return scale, shift + (vector if op.kind == "ADD" else -vector)


@dataclass(frozen=True, kw_only=True, eq=False)
class Affine:
    """``scale * x + shift`` by channel, behind a weighted layer.

    Attributes:
        layer: the convolution or dense layer.
        ops: MUL, ADD or SUB that make up the map, in order.
        scale: shape (channels,).
        shift: shape (channels,).
    """

    layer: Op
    ops: tuple[Op, ...]
    scale: npt.NDArray[np.float64]
    shift: npt.NDArray[np.float64]

    @property
    def output(self) -> int:
        """The tensor that holds the map's result."""
        return self.ops[-1].outputs[0]


def affine_after(graph: Graph, layer: Op) -> Affine | None:
    """The affine map by channel that alone reads a layer's result."""
    channels = graph.tensors[layer.outputs[0]].shape[-1]
    scale, shift = np.ones(channels), np.zeros(channels)
    ops: list[Op] = []
    last = layer
    while (reader := only_reader(graph, last)) is not None:
        if family(reader.kind) not in {Family.PRODUCT, Family.SUM}:
            break
        vector = channel_vector(graph, reader, last.outputs[0])
        if vector is None or (reader.kind == "SUB" and reader.inputs[0] != last.outputs[0]):
            break
        scale, shift = composed(reader, vector, scale, shift)
        ops.append(reader)
        last = reader
    if not ops:
        return None
    return Affine(layer=layer, ops=tuple(ops), scale=scale, shift=shift)
