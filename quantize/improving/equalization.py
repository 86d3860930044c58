"""Cross-layer equalization: neighbouring layers share out their weights' ranges, channel by channel.

Reference: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
ICCV 2019, section 4.1. The float network computes the same function before and after.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Activation, Graph, Op, Tensor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family, operator
from mnist_export.quantize.network.layers import has_bias, has_weights, weighted_ops

ROUNDS = 40
TOLERANCE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """Two weighted operators with only scalable ones between them.

    Attributes:
        first: writes the channels.
        second: reads them.
        shifts: indices of constants that are added, or bound, on the way; they scale with the channels.
    """

    first: Op
    second: Op
    shifts: tuple[int, ...]


def equalize(graph: Graph) -> tuple[Graph, int]:
    """Rescale channels so that both sides of each pair have ranges ``sqrt(r1 * r2)``.

    For channel i with ranges ``r1 = max|W1_i|`` and ``r2 = max|W2_i|``: ``s = sqrt(r1 / r2)``, ``W1 / s``,
    ``b1 / s``, ``W2 * s``; repeated over all pairs until every s is within 0.001 of 1.

    Args:
        graph: a float graph.

    Returns:
        The rescaled graph and how many pairs it was done on; 0 where no two layers can share.
    """
    pairs = list(_pairs(graph))
    for _ in range(ROUNDS if pairs else 0):
        largest = 0.0
        for pair in pairs:
            graph, moved = _share(graph, pair)
            largest = max(largest, moved)
        if largest < TOLERANCE:
            break
    return graph, len(pairs)


def _pairs(graph: Graph) -> Iterator[Pair]:
    for first in weighted_ops(graph):
        if int(first.options.get("fusedActivationFunction", 0)) not in (Activation.NONE, Activation.RELU):
            continue
        index = first.outputs[0]
        shifts: list[int] = []
        while True:
            readers = graph.consumers(index)
            if len(readers) != 1 or index in graph.outputs:
                break
            reader = readers[0]
            if has_weights(graph, reader):
                if reader.inputs[0] == index and _fits(graph, first, reader):
                    yield Pair(first=first, second=reader, shifts=tuple(shifts))
                break
            shift = _constant_shift(graph, reader)
            passes = operator(reader.kind).passes_scale or shift is not None
            if not passes or not _keeps_channels(graph, reader):
                break
            if shift is not None and shift >= 0:
                shifts.append(shift)
            index = reader.outputs[0]


def _keeps_channels(graph: Graph, op: Op) -> bool:
    """Whether each channel's values stay apart from the others': a mean over channels mixes them."""
    if family(op.kind) != Family.REDUCTION:
        return True
    axes, rank = graph.tensors[op.inputs[1]].data, len(graph.tensors[op.inputs[0]].shape)
    return axes is not None and rank - 1 not in {int(axis) % rank for axis in axes.ravel()}


def _constant_shift(graph: Graph, op: Op) -> int | None:
    """The constant that an operator adds or bounds by; -1 for a MUL by one, which scales by itself; or None.

    ``max(x, c) / s = max(x / s, c / s)`` for a positive s, and so for a minimum.
    """
    if family(op.kind) not in {Family.SUM, Family.PRODUCT, Family.EXTREME}:
        return None
    if int(op.options.get("fusedActivationFunction", 0)) not in {Activation.NONE, Activation.RELU}:
        return None
    constants = [i for i in op.inputs if graph.tensors[i].is_constant]
    if len(constants) != 1 or (op.kind == "SUB" and op.inputs[1] not in constants):
        return None
    if family(op.kind) == Family.PRODUCT:
        return -1
    shape = graph.tensors[constants[0]].shape
    channels = graph.tensors[op.outputs[0]].shape[-1]
    return constants[0] if int(np.prod(shape)) in (1, channels) else None


def _fits(graph: Graph, first: Op, second: Op) -> bool:
    channels = graph.tensors[first.inputs[1]].shape[operator(first.kind).weight_axis or 0]
    shape = graph.tensors[second.inputs[1]].shape
    inputs = shape[1] if second.kind == "FULLY_CONNECTED" else shape[3]
    if second.kind == "DEPTHWISE_CONV_2D" and int(second.options.get("depthMultiplier", 1)) > 1:
        return False
    return inputs % channels == 0 if second.kind == "FULLY_CONNECTED" else inputs == channels


def _share(graph: Graph, pair: Pair) -> tuple[Graph, float]:
    w1 = graph.tensors[pair.first.inputs[1]].real()
    w2 = graph.tensors[pair.second.inputs[1]].real()
    axis = operator(pair.first.kind).weight_axis or 0
    channels = w1.shape[axis]
    # Every kind's weights with the read channel last; a dense layer behind a flatten reads NHWC.
    view = w2.reshape(-1, channels)
    r1 = np.abs(w1).max(axis=tuple(i for i in range(w1.ndim) if i != axis))
    r2 = np.abs(view).max(axis=0)
    used = (r1 > 0) & (r2 > 0)
    scale = np.ones(channels)
    scale[used] = np.sqrt(r1[used].astype(np.float64) / r2[used])
    return _rescaled(graph, pair, scale, axis), float(np.abs(scale - 1).max())


def _rescaled(graph: Graph, pair: Pair, scale: npt.NDArray[np.float64], axis: int) -> Graph:
    changes: dict[int, Tensor] = {}

    def put(index: int, value: npt.NDArray[np.float64]) -> None:
        largest = float(np.finfo(np.float32).max)  # a channel without a bound has this one
        data = np.clip(value, -largest, largest).astype(np.float32)
        changes[index] = replace(graph.tensors[index], data=data, shape=tuple(value.shape))

    first, second = graph.tensors[pair.first.inputs[1]], graph.tensors[pair.second.inputs[1]]
    along = [1] * len(first.shape)
    along[axis] = len(scale)
    put(pair.first.inputs[1], first.real() / scale.reshape(along))
    if has_bias(pair.first):
        put(pair.first.inputs[2], graph.tensors[pair.first.inputs[2]].real() / scale)
    for index in pair.shifts:
        value = graph.tensors[index].real()
        put(
            index,
            value / scale if value.ndim <= 1 else value / scale.reshape((1,) * (value.ndim - 1) + (-1,)),
        )
    put(pair.second.inputs[1], (second.real().reshape(-1, len(scale)) * scale).reshape(second.shape))
    return graph.with_tensors(changes)
