"""How many values a quantized tensor cannot represent: they end at its smallest or largest code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.network.layers import by_name
from mnist_export.quantize.network.simulate import run_tensors


def representable(quant: QuantParams, dtype: npt.DTypeLike) -> tuple[float, float]:
    """Smallest and largest real value of a per-tensor quantization, half a step added on each side."""
    info = np.iinfo(np.dtype(dtype))
    scale, zero = float(quant.scale[0]), int(quant.zero_point[0])
    return scale * (info.min - zero - 0.5), scale * (info.max - zero + 0.5)


def quantized_outputs(graph: Graph, quantized: Graph) -> dict[int, int]:
    """A float graph's activations to those of the same name that the other graph quantizes."""
    known = by_name(quantized)
    pairs = {}
    for index in graph.activations():
        other = known.get(graph.tensors[index].name)
        if other is not None and quantized.tensors[other].quant is not None:
            pairs[index] = other
    return pairs


def saturation_shares(
    graph: Graph, quantized: Graph, images: npt.NDArray[np.uint8], *, input_range: InputRange
) -> Mapping[str, float]:
    """Share of values outside of what each quantized activation can represent.

    Args:
        graph: the float graph, whose values are looked at.
        quantized: its integer form; activations are matched by name.
        images: uint8 of shape (n, H, W, C), n >= 1.
        input_range: what pixel values 0 and 255 become for the model.

    Returns:
        Activation name to a fraction of 1, in order of execution.
    """
    pairs = quantized_outputs(graph, quantized)
    limits = {}
    for index, other in pairs.items():
        quant = quantized.tensors[other].quant
        if quant is not None:
            limits[index] = representable(quant, quantized.tensors[other].dtype)
    outside = dict.fromkeys(limits, 0)
    total = dict.fromkeys(limits, 0)
    for values in run_tensors(graph, images, list(limits), input_range=input_range):
        for index, (lo, hi) in limits.items():
            found = values[index]
            outside[index] += int(np.count_nonzero((found < lo) | (found > hi)))
            total[index] += found.size
    return {graph.tensors[i].name: outside[i] / total[i] for i in limits if total[i]}
