"""Which channels can overflow on CPUs without VNNI: a static check of the integers.

There, ``vpmaddubsw`` multiplies unsigned activations by signed weights and adds neighbouring products
in 16 bits with saturation, so that a pair beyond -32768..32767 is silently wrong.
Reference: onnxruntime, "Quantize ONNX models", the section on U8S8 and reduce_range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.operators import operator
from mnist_export.quantize.network.layers import layer_name, weighted_ops

LOWEST, HIGHEST = -32768, 32767


@dataclass(frozen=True, kw_only=True)
class OverflowRisk:
    """One layer's channels against the 16-bit pair sum.

    Attributes:
        layer: its name.
        channels: how many output channels it has.
        adjacent: channels in which a pair of neighbours along the kernel's order can overflow.
        any_pair: channels in which some two weights could, whatever order a kernel packs them in.
        worst: the largest magnitude a neighbouring pair can reach.
        largest_input: largest unsigned code of the input, 0..255.
    """

    layer: str
    channels: int
    adjacent: tuple[int, ...]
    any_pair: tuple[int, ...]
    worst: int
    largest_input: int

    @property
    def is_safe(self) -> bool:
        """Whether no packing order can overflow."""
        return not self.any_pair

    def sentence(self) -> str:
        """What a report says about this layer."""
        if self.is_safe:
            return f"'{self.layer}': no pair of products exceeds 16 bits (largest {self.worst})."
        return (
            f"'{self.layer}': {len(self.adjacent)} of {self.channels} channels can overflow a 16-bit pair "
            f"sum on CPUs without VNNI (largest {self.worst}, limit {HIGHEST}; {len(self.any_pair)} under "
            "another packing). Use `reduce_range=True` for such CPUs."
        )


def check_overflow(graph: Graph) -> tuple[OverflowRisk, ...]:
    """Look at each int8 layer of a quantized graph as ONNX Runtime's U8S8 kernels compute it.

    The unsigned input code is the int8 one plus 128. Neighbours are taken in the order (height, width,
    input channel), that of an NHWC im2col; a depthwise kernel adds over its window instead.

    Args:
        graph: a quantized graph; layers in float are left out.

    Returns:
        One entry a layer, in order of execution.
    """
    risks = []
    for op in weighted_ops(graph):
        weights, source = graph.tensors[op.inputs[1]], graph.tensors[op.inputs[0]]
        if weights.dtype == np.int8 and source.dtype == np.int8 and weights.data is not None:
            risks.append(_risk(graph, op, weights.data.astype(np.int64), _largest_code(graph, op.inputs[0])))
    return tuple(risks)


def _largest_code(graph: Graph, index: int) -> int:
    """255, or less where an activation with an upper bound (ReLU6) ends below its range's end."""
    producer, quant = graph.producer(index), graph.tensors[index].quant
    if producer is None or quant is None:
        return 255
    if int(producer.options.get("fusedActivationFunction", 0)) != Activation.RELU6:
        return 255
    code = np.rint(6.0 / float(quant.scale[0])) + int(quant.zero_point[0]) + 128
    return int(np.clip(code, 0, 255))


def _risk(graph: Graph, op: Op, weights: npt.NDArray[np.int64], largest: int) -> OverflowRisk:
    axis = operator(op.kind).weight_axis or 0
    rows = np.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
    if rows.shape[1] % 2:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    pairs = rows.reshape(len(rows), -1, 2)
    high = np.maximum(pairs, 0).sum(axis=2).max(axis=1) * largest
    low = np.minimum(pairs, 0).sum(axis=2).min(axis=1) * largest
    ordered = np.sort(rows, axis=1)
    most = np.maximum(ordered[:, -2:], 0).sum(axis=1) * largest
    least = np.minimum(ordered[:, :2], 0).sum(axis=1) * largest
    return OverflowRisk(
        layer=layer_name(graph, op),
        channels=len(rows),
        adjacent=tuple(int(i) for i in np.flatnonzero((high > HIGHEST) | (low < LOWEST))),
        any_pair=tuple(int(i) for i in np.flatnonzero((most > HIGHEST) | (least < LOWEST))),
        worst=int(max(high.max(), -low.min())),
        largest_input=largest,
    )
