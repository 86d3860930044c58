"""Operators that move codes, in NumPy: each code of the result is one of an input's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import kinds
from mnist_export.quantize.network.geometry import patches, window_of

Values = npt.NDArray[Any]
Move = Callable[[Graph, Op, Sequence[Values], float], Values]
"""Takes the graph, the operator, its activations and the value of padding; gives the result."""


def _numbers(graph: Graph, op: Op, place: int) -> list[int]:
    """A constant operand's numbers."""
    data = graph.tensors[op.inputs[place]].data
    if data is None:
        raise UnsupportedError(
            f"exact int8: layer '{graph.tensors[op.outputs[0]].name}' computes its operand {place} at run "
            "time; expected a constant."
        )
    return [int(value) for value in data.ravel()]


def _reshape(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    return values[0].reshape(len(values[0]), *graph.tensors[op.outputs[0]].shape[1:])


def _max_pool(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    kernel = (int(op.options["filterHeight"]), int(op.options["filterWidth"]))
    window = window_of(op, values[0].shape[1:3], kernel)
    lowest = np.iinfo(np.int8).min if values[0].dtype == np.int8 else values[0].min(initial=0)
    return np.asarray(patches(values[0], window, fill=lowest).max(axis=(3, 4)))


def _pad(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    amounts = np.reshape(_numbers(graph, op, 1), (-1, 2)).tolist()
    return np.pad(values[0], amounts, constant_values=fill)


def _mirror_pad(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    amounts = np.reshape(_numbers(graph, op, 1), (-1, 2)).tolist()
    return np.pad(values[0], amounts, mode="symmetric" if op.options.get("mode") else "reflect")


def _concatenate(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    return np.concatenate(values, axis=int(op.options["axis"]))


def _pack(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    return np.stack(values, axis=int(op.options["axis"]))


def _transpose(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    return values[0].transpose(_numbers(graph, op, 1))


def _strided_slice(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    begin, end, strides = (_numbers(graph, op, place) for place in (1, 2, 3))
    masks = {name: int(op.options.get(name, 0)) for name in ("beginMask", "endMask", "shrinkAxisMask")}
    picked: list[slice | int] = []
    for axis, (first, last, stride) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << axis
        if masks["shrinkAxisMask"] & bit:
            picked.append(first)
            continue
        whole = masks["endMask"] & bit or axis == 0
        picked.append(slice(None if masks["beginMask"] & bit else first, None if whole else last, stride))
    return np.asarray(values[0][tuple(picked)])


def _slice(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    begin, size = _numbers(graph, op, 1), _numbers(graph, op, 2)
    picked = [slice(None)] + [
        slice(first, None if count == -1 else first + count)
        for first, count in zip(begin[1:], size[1:], strict=True)
    ]
    return np.asarray(values[0][tuple(picked)])


def _gather(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    places = graph.tensors[op.inputs[1]].data
    if places is None or int(op.options.get("batchDims", 0)):
        raise UnsupportedError(
            f"exact int8: layer '{graph.tensors[op.outputs[0]].name}' gathers places that are computed."
        )
    return np.take(values[0], places, axis=int(op.options.get("axis", 0)))


def _tile(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    return np.tile(values[0], _numbers(graph, op, 1))


def _reverse(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    return np.flip(values[0], tuple(_numbers(graph, op, 1)))


def _depth_to_space(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    block = int(op.options["blockSize"])
    count, height, width, depth = values[0].shape
    parts = values[0].reshape(count, height, width, block, block, depth // block**2)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(count, height * block, width * block, -1)


def _space_to_depth(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    block = int(op.options["blockSize"])
    count, height, width, depth = values[0].shape
    parts = values[0].reshape(count, height // block, block, width // block, block, depth)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(count, height // block, width // block, -1)


def _resize(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    """Reference: tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h."""
    sizes = _numbers(graph, op, 1)
    align, centres = bool(op.options.get("alignCorners")), bool(op.options.get("halfPixelCenters"))
    result = values[0]
    for axis, size in enumerate(sizes, start=1):
        length = result.shape[axis]
        ratio = (length - 1) / (size - 1) if align and size > 1 else length / size
        places = (np.arange(size) + (0.5 if centres else 0.0)) * np.float32(ratio)
        near = np.floor(places + 0.5) if align else np.floor(places)
        result = np.take(result, np.clip(near, 0, length - 1).astype(np.int64), axis=axis)
    return result


def _extreme_over(choose: Callable[..., Values]) -> Move:
    def run(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
        axes = tuple(axis % values[0].ndim for axis in _numbers(graph, op, 1))
        return np.asarray(choose(values[0], axis=axes, keepdims=bool(op.options.get("keepDims"))))

    return run


def _larger(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    return np.maximum(*values)


def _smaller(graph: Graph, op: Op, values: Sequence[Values], fill: float) -> Values:
    return np.minimum(*values)


MOVES: Mapping[str, Move] = MappingProxyType(
    {
        **dict.fromkeys(sorted(kinds(Family.VIEW)), _reshape),
        "MAX_POOL_2D": _max_pool,
        "PAD": _pad,
        "MIRROR_PAD": _mirror_pad,
        "CONCATENATION": _concatenate,
        "PACK": _pack,
        "TRANSPOSE": _transpose,
        "STRIDED_SLICE": _strided_slice,
        "SLICE": _slice,
        "GATHER": _gather,
        "TILE": _tile,
        "REVERSE_V2": _reverse,
        "DEPTH_TO_SPACE": _depth_to_space,
        "SPACE_TO_DEPTH": _space_to_depth,
        "RESIZE_NEAREST_NEIGHBOR": _resize,
        "REDUCE_MAX": _extreme_over(np.max),
        "REDUCE_MIN": _extreme_over(np.min),
        "MAXIMUM": _larger,
        "MINIMUM": _smaller,
    }
)
"""Operators that move codes, and how."""
