"""Scales under which sums and means of tensors have no ties, so that every runtime rounds them alike.

A sum of codes is ``ra * a + rb * b`` steps of the output, ``r`` being an operand's scale over the output's.
LiteRT computes it in fixed point and ONNX Runtime in float32; they part where the result is within their
errors of the middle between two integers. With ``ra = p / N`` and ``rb = q / N`` for an odd N the result is a
whole multiple of 1/N, and so at least 1/2N away from every such middle: more than any of these errors.

A mean over height and width is ``r * sum`` with ``r`` the scales' quotient over the number of pixels;
runtimes multiply in float32, so that N may be larger.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from mnist_export.core.affine import QuantParams, asymmetric
from mnist_export.core.graph import Graph, Op
from mnist_export.quantize.operators import RULES
from mnist_export.quantize.rewrites.average_as_depthwise import obstacle

SUMS: Final = frozenset({"ADD", "SUB"})
_DENOMINATORS: Final = (499, 249, 101, 41)
_MEAN_DENOMINATOR: Final = 4999  # keeps 1e-4 from ties; 255 steps in float32 are 3e-5 off at most
_MEAN_STEPS: Final = 25  # a scale grows by 1/25 at most; maps of more than 14x14 pixels may stay as they are
_CODES: Final = 255
_NEAR: Final = 1e-6  # of a whole number: float32's rounding of a scale


def tie_free(
    graph: Graph, params: Mapping[int, QuantParams], group: Mapping[int, int]
) -> dict[int, QuantParams]:
    """Widen scales a little wherever two tensors are added or subtracted, or a mean is taken.

    Operands' scales grow to the next multiple of the output's over N, from the last sum to the first: by 1/p
    of themselves at most. Zero points stay, so that every range holds what it held. Where an operand serves
    two sums whose scales do not fit, the earlier one stays as it is.

    Args:
        graph: of floats, or of int8 that another tool quantized.
        params: of its activations, by tensor index.
        group: tensor index to the representative of those that must share one scale.

    Returns:
        Parameters of the same activations, and of the constants that are added to one.
    """
    chosen = dict(params)
    locked = {root for index, root in group.items() if _is_fixed(graph, index)}
    for op in reversed(graph.ops):
        if op.kind in SUMS and len(op.inputs) == 2 and op.outputs[0] in chosen:
            _settle(graph, op, chosen, group, locked)
    for op in graph.ops:
        if op.kind == "MEAN" and op.outputs[0] in chosen and (pixels := pixels_of_mean(graph, op)):
            _settle_mean(op, pixels, chosen, group, locked)
    return chosen


def pixels_of_mean(graph: Graph, op: Op) -> int:
    """How many values a MEAN over height and width takes; 0 where it is another mean."""
    if obstacle(graph, op):
        return 0
    _, height, width, _ = graph.tensors[op.inputs[0]].shape
    return height * width


def _settle_mean(
    op: Op, pixels: int, chosen: dict[int, QuantParams], group: Mapping[int, int], locked: set[int]
) -> None:
    source, target = op.inputs[0], op.outputs[0]
    root = group.get(target, target)
    if source not in chosen or root in locked or root == group.get(source, source):
        return
    scale = float(chosen[source].scale[0])
    steps = np.floor(scale / (float(chosen[target].scale[0]) * pixels) * _MEAN_DENOMINATOR)
    if steps < _MEAN_STEPS:
        return
    made = np.array([scale * _MEAN_DENOMINATOR / (pixels * steps)], np.float32)
    for index in list(chosen):
        if group.get(index, index) == root:
            chosen[index] = replace(chosen[index], scale=made)
    locked.add(root)


def error_bound(ratios: tuple[float, float]) -> float:
    """How far a runtime's sum may be from the real one, in steps of the output.

    XNNPACK rounds both ratios to multiples of ``2**-20`` of the larger one's power of two; the built-in
    kernels and float32 are closer.
    """
    return 2 * _CODES * max(ratios) * 2.0**-21


def distance_from_ties(ratios: tuple[float, float], points: tuple[int, int], sign: int = 1) -> float:
    """The least distance of any sum of two codes from the middle between two integers.

    Args:
        ratios: each operand's scale over the output's.
        points: each operand's zero point.
        sign: -1 for a difference.
    """
    codes = np.arange(-128, 128, dtype=np.float64)
    first, second = (ratio * (codes - point) for ratio, point in zip(ratios, points, strict=True))
    sums = first[:, None] + sign * second[None, :]
    return float(np.abs(sums - np.floor(sums) - 0.5).min())


def _is_fixed(graph: Graph, index: int) -> bool:
    producer = graph.producer(index)
    return index in graph.inputs or (
        producer is not None and producer.kind in RULES and RULES[producer.kind].output is not None
    )


def _settle(
    graph: Graph, op: Op, chosen: dict[int, QuantParams], group: Mapping[int, int], locked: set[int]
) -> None:
    operands = {i: chosen.get(i) or _of_constant(graph, i) for i in op.inputs}
    if any(found is None for found in operands.values()):
        return
    # A constant is a group of its own.
    roots = {i: group.get(i, i) for i in (*op.inputs, *op.outputs)}
    scales = {i: float(found.scale[0]) for i, found in operands.items() if found is not None}
    out = float(chosen[op.outputs[0]].scale[0])
    largest = max(scales.values()) / out
    parts = next((n for n in _DENOMINATORS if 0.5 / n >= 2 * error_bound((largest, largest))), None)
    if parts is None:
        return
    held = [i for i in scales if roots[i] in locked and not _is_whole(scales[i] / out * parts)]
    if held:
        steps = np.floor(scales[held[0]] / out * parts)
        if len({roots[i] for i in held}) > 1 or roots[op.outputs[0]] in locked or steps < 1:
            return
        out = float(np.float32(scales[held[0]] * parts / steps))
    made = {op.outputs[0]: out}
    for index, scale in scales.items():
        ratio = scale / out * parts
        steps = np.rint(ratio) if _is_whole(ratio) else np.ceil(ratio)
        made[index] = scale if roots[index] in locked else steps / parts * out
    changes = {roots[i]: np.float32(scale) for i, scale in made.items()}
    first, second = (float(changes[roots[i]]) / float(changes[roots[op.outputs[0]]]) for i in op.inputs)
    points = [int(operands[i].zero_point[0]) for i in op.inputs]  # type: ignore[union-attr]
    sign = -1 if op.kind == "SUB" else 1
    if distance_from_ties((first, second), (points[0], points[1]), sign) < 1.5 * error_bound((first, second)):
        return
    for index, found in operands.items():
        if found is not None:
            chosen.setdefault(index, found)
    for index in list(chosen):
        root = group.get(index, index)
        if root in changes:
            chosen[index] = replace(chosen[index], scale=np.array([changes[root]], np.float32))
    locked.update(changes)


def _of_constant(graph: Graph, index: int) -> QuantParams | None:
    data, quant = graph.tensors[index].data, graph.tensors[index].quant
    if data is not None and quant is not None and not quant.is_per_channel:
        return quant
    if data is None or data.dtype != np.float32:
        return None
    return asymmetric(float(data.min()), float(data.max()), np.int8)


def _is_whole(value: float) -> bool:
    return bool(value >= 1 - _NEAR and abs(value - np.rint(value)) <= _NEAR * max(value, 1.0))
