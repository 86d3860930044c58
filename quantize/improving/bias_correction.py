"""Bias correction: quantized weights shift each channel's mean output; the bias takes the shift back.

Reference: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
ICCV 2019, section 4.2 and appendix D (the empirical form, with calibration images).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Graph
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.improving.preactivation import preactivation
from mnist_export.quantize.network.layers import by_name, has_bias, weighted_ops
from mnist_export.quantize.network.simulate import run_tensors


def correct_biases(
    graph: Graph, quantized: Graph, images: npt.NDArray[np.uint8], *, input_range: InputRange
) -> Graph:
    """Shift each quantized bias by the mean error of its channel, layer by layer from the input.

    ``b <- b - round((E[y_q] - E[y]) / scale_b)`` with ``y`` the layer's output before its activation,
    the layers before it already corrected.

    Args:
        graph: the float graph.
        quantized: its integer form; operators are matched by their outputs' names.
        images: uint8 calibration images of shape (n, H, W, C), n >= 1.
        input_range: what pixel values 0 and 255 become for the model.

    Returns:
        The integer graph with other biases; layers in float, or without a bias, are left alone.
    """
    known = by_name(graph)
    for number, op in enumerate(quantized.ops):
        if op not in set(weighted_ops(quantized)) or not has_bias(op):
            continue
        bias = quantized.tensors[op.inputs[2]]
        original = known.get(quantized.tensors[op.outputs[0]].name)
        producer = graph.producer(original) if original is not None else None
        if bias.quant is None or bias.data is None or producer is None:
            continue
        wanted = mean_by_channel(preactivation(graph, producer), images, input_range)
        found = mean_by_channel(preactivation(quantized, quantized.ops[number]), images, input_range)
        info = np.iinfo(bias.dtype)
        shift = np.rint((found - wanted) / bias.quant.scale.astype(np.float64))
        data = np.clip(bias.data.astype(np.float64) - shift, info.min, info.max).astype(bias.dtype)
        quantized = quantized.with_tensors({op.inputs[2]: replace(bias, data=data)})
    return quantized


def mean_by_channel(
    graph: Graph, images: npt.NDArray[np.uint8], input_range: InputRange
) -> npt.NDArray[np.float64]:
    """Mean of a graph's output over images and positions: float64 of shape (channels,)."""
    (result,) = graph.outputs
    batches: Iterable[npt.NDArray[np.float32]] = (
        values[result] for values in run_tensors(graph, images, [result], input_range=input_range)
    )
    total = np.zeros(1)
    count = 0
    for values in batches:
        flat = values.reshape(-1, values.shape[-1])
        total = total + flat.sum(axis=0, dtype=np.float64)
        count += len(flat)
    return np.asarray(total / count, np.float64)
