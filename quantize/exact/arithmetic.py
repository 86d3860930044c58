"""An exact integer graph run in NumPy: int8 codes in, int8 codes out, by shifts alone.

It stands beside the runtimes as one more implementation, gives the golden answers that generated C checks
itself against, and supplies each layer's quantized inputs while the layers after it are still being rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Activation, Graph, Op, Tensor
from mnist_export.quantize.exact.grid import FLOAT32_INTEGERS, exponent_of
from mnist_export.quantize.exact.moves import MOVES
from mnist_export.quantize.exact.real_kernels import REAL_KERNELS
from mnist_export.quantize.network.geometry import patches, window_of
from mnist_export.quantize.network.operators import WEIGHTED

Codes = npt.NDArray[np.int8]
Values = npt.NDArray[Any]
CHUNK = 32


def zero_point(tensor: Tensor) -> int:
    """The one zero point of an activation."""
    if tensor.quant is None:
        raise UnsupportedError(f"exact int8: '{tensor.name}' has no scale; expected an int8 tensor.")
    return int(tensor.quant.zero_point[0])


def exponent(tensor: Tensor) -> int:
    """``e`` of an activation's scale ``2**e``."""
    found = exponent_of(float(tensor.quant.scale[0])) if tensor.quant is not None else None
    if found is None:
        raise UnsupportedError(f"exact int8: '{tensor.name}' has a scale that is no power of two.")
    return found


def shifts_of(graph: Graph, op: Op) -> npt.NDArray[np.int64]:
    """Right shift of each output channel of a weighted layer: shape (channels,).

    ``s = exponent(output) - exponent(input) - exponent(weights of the channel)``.
    """
    weights, bias = graph.tensors[op.inputs[1]], graph.tensors[op.inputs[2]]
    if weights.quant is None or bias.data is None:
        raise UnsupportedError(
            f"exact int8: '{weights.name}' has no scale; expected int8 weights and a bias."
        )
    exponents = [exponent_of(float(s)) for s in weights.quant.scale]
    if None in exponents:
        raise UnsupportedError(f"exact int8: '{weights.name}' has a scale that is no power of two.")
    base = exponent(graph.tensors[op.outputs[0]]) - exponent(graph.tensors[op.inputs[0]])
    shifts = base - np.array(exponents, np.int64)
    return np.broadcast_to(shifts, (bias.data.size,)).copy()


def code_range(target: Tensor, activation: int) -> tuple[int, int]:
    """Smallest and largest output code that a fused activation leaves.

    Args:
        target: the output, for its scale and zero point.
        activation: the schema's number of the activation.
    """
    point, step = zero_point(target), 2.0 ** exponent(target)
    kind = Activation(activation)
    if kind == Activation.NONE:
        return -128, 127
    if kind == Activation.RELU:
        return max(-128, point), 127
    if kind == Activation.RELU6:
        return max(-128, point), min(127, point + round(6.0 / step))
    raise UnsupportedError(f"exact int8: '{target.name}' ends in {kind.name}, expected RELU or RELU6.")


def requantize(
    accumulators: npt.NDArray[np.int64], shifts: npt.NDArray[np.int64], target: Tensor, activation: int
) -> Codes:
    """Shift, add the zero point and clamp: ``clip(floor((a + 2**(s-1)) / 2**s) + zero_point)``.

    Args:
        accumulators: int64, output channels last.
        shifts: of shape (channels,), each at least 1.
        target: the output, for scale and zero point.
        activation: the schema's number of the fused activation.
    """
    lo, hi = code_range(target, activation)
    rounded = (accumulators + (np.int64(1) << (shifts - 1))) >> shifts
    return np.asarray(np.clip(rounded + zero_point(target), lo, hi), np.int8)


def _product(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """An exact integer matrix product through BLAS: float32 where every sum fits, else float64."""
    largest = 256 * float(np.abs(right.astype(np.int64)).sum(axis=0).max(initial=0))
    dtype = np.float32 if largest < FLOAT32_INTEGERS else np.float64
    return np.asarray(np.rint(left.astype(dtype) @ right.astype(dtype)), np.int64)


def conv_accumulators(
    op: Op, values: npt.NDArray[np.int16], weights: npt.NDArray[np.int8]
) -> npt.NDArray[np.int64]:
    """Products of a convolution or dense layer summed, without bias.

    Args:
        op: CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED.
        values: input codes minus the zero point, batch first.
        weights: OHWI, 1HWC or (out, in).

    Returns:
        int64 accumulators, output channels last.
    """
    if op.kind == "FULLY_CONNECTED":
        return _product(values.reshape(-1, weights.shape[1]), weights.T)
    kernel = (weights.shape[1], weights.shape[2])
    window = window_of(op, values.shape[1:3], kernel)
    parts = []
    for start in range(0, len(values), CHUNK):
        taps = patches(values[start : start + CHUNK], window)
        n, height, width, _, _, channels = taps.shape
        if op.kind == "CONV_2D":
            parts.append(_convolved(taps, weights))
            continue
        grouped = weights[0].reshape(*kernel, channels, -1).astype(np.float64)
        summed = np.einsum("nyxklc,klcm->nyxcm", taps.astype(np.float64), grouped, optimize=True)
        parts.append(np.rint(summed).astype(np.int64).reshape(n, height, width, -1))
    return np.concatenate(parts)


def _weighted(graph: Graph, op: Op, codes: Mapping[int, Values]) -> Values:
    source, weights, bias = (graph.tensors[i] for i in op.inputs[:3])
    if weights.data is None or bias.data is None:
        raise UnsupportedError(f"exact int8: '{weights.name}' is computed at run time; expected constants.")
    values = codes[op.inputs[0]].astype(np.int16) - np.int16(zero_point(source))
    accumulators = conv_accumulators(op, values, weights.data) + bias.data.astype(np.int64)
    target = graph.tensors[op.outputs[0]]
    result = requantize(
        accumulators, shifts_of(graph, op), target, op.options.get("fusedActivationFunction", 0)
    )
    return result.reshape(len(values), *target.shape[1:])


def _convolved(taps: npt.NDArray[Any], weights: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """Sums of a convolution's windows, in as many groups as its weights have."""
    n, height, width = taps.shape[:3]
    groups = taps.shape[-1] // weights.shape[3]
    parts = [
        _product(part.reshape(n * height * width, -1), own.reshape(len(own), -1).T)
        for part, own in zip(np.split(taps, groups, axis=-1), np.split(weights, groups), strict=True)
    ]
    return np.concatenate(parts, axis=-1).reshape(n, height, width, -1)


def _sum(graph: Graph, op: Op, codes: Mapping[int, Values]) -> Values:
    target = graph.tensors[op.outputs[0]]
    if target.dtype != np.int8:
        return REAL_KERNELS[op.kind](graph, op, codes)
    total = np.zeros(codes[op.inputs[0]].shape, np.int64)
    for place, index in enumerate(op.inputs):
        sign = -1 if place and op.kind == "SUB" else 1
        total += sign * (codes[index].astype(np.int64) - zero_point(graph.tensors[index]))
    lo, hi = code_range(target, op.options.get("fusedActivationFunction", 0))
    return np.clip(total + zero_point(target), lo, hi).astype(np.int8)


def _moved(graph: Graph, op: Op, codes: Mapping[int, Values]) -> Values:
    if graph.tensors[op.inputs[0]].is_constant:
        return REAL_KERNELS[op.kind](graph, op, codes)
    values = [codes[i] for i in op.inputs if i in codes]
    quant = graph.tensors[op.inputs[0]].quant
    fill = int(quant.zero_point[0]) if quant is not None else 0
    return MOVES[op.kind](graph, op, values, fill)


KERNELS: Mapping[str, Callable[[Graph, Op, Mapping[int, Values]], Values]] = MappingProxyType(
    {
        **REAL_KERNELS,
        **dict.fromkeys(sorted(WEIGHTED), _weighted),
        **dict.fromkeys(MOVES, _moved),
        "ADD": _sum,
        "SUB": _sum,
    }
)
"""Operators of exact graphs, and how they compute."""


def run_op(graph: Graph, op: Op, codes: Mapping[int, Values]) -> Values:
    """Run one operator of an exact graph.

    Raises:
        UnsupportedError: an operator that is not exact, by its layer's name.
    """
    if op.kind not in KERNELS:
        raise UnsupportedError(
            f"exact int8: layer '{graph.tensors[op.outputs[0]].name}' uses {op.kind}, which is not exact."
        )
    return KERNELS[op.kind](graph, op, codes)


def run_graph(graph: Graph, pixels: npt.NDArray[np.uint8]) -> dict[int, Values]:
    """Run an exact graph on raw pixels.

    Args:
        graph: int8 throughout, with an int8 input that is ``pixel - 128``.
        pixels: uint8, batch first.

    Returns:
        Codes of every activation by tensor index; the graph's outputs among them.
    """
    entry = graph.inputs[0]
    first = (pixels.astype(np.int16) - 128).astype(np.int8)
    codes: dict[int, Values] = {entry: first.reshape(len(pixels), *graph.tensors[entry].shape[1:])}
    for op in graph.ops:
        codes[op.outputs[0]] = run_op(graph, op, codes)
    return codes
