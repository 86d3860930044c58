"""Scales without ties for sums, products and means: every runtime rounds them in the same way.

A sum of codes is ``ra * a + rb * b`` steps of the output, ``r`` being an operand's scale over the output's.
LiteRT computes it in fixed point and ONNX Runtime in float32; they part where the result is within their
errors of the middle between two integers. With ``ra = p / N`` and ``rb = q / N`` for an odd N the result is a
whole multiple of 1/N, and so at least 1/2N away from every such middle: more than any of these errors.

A product, a mean and a sum of many values are ``r`` times a whole number; runtimes multiply in float32, so
that N may be larger, where no large numbers cancel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.quantize.scales.scale_choice import ScaleChoice

_DENOMINATORS: Final = (499, 249, 101, 41)
_FACTOR_DENOMINATOR: Final = 4999  # keeps 1e-4 from ties; 255 steps in float32 are 8e-5 off at most
_MEAN_DENOMINATORS: Final = (_FACTOR_DENOMINATOR, 2499, 1249, 623, 311)
_MEAN_STEPS: Final = 25  # a scale grows by 1/25 at most; maps of more than 14x14 pixels may stay as they are
_PRODUCT_STEPS: Final = 8  # by 1/8 at most, and 1/20 for a gate of 0..1 on a tensor whose range it leaves
_CODES: Final = 255
_NEAR: Final = 1e-6  # of a whole number: float32's rounding of a scale


def params_without_ties(
    graph: Graph, params: Mapping[int, QuantParams], group: Mapping[int, int]
) -> dict[int, QuantParams]:
    """Widen scales a little wherever two tensors are added, subtracted or multiplied, or a mean is taken.

    Operands' scales of sums grow to the next multiple of the output's over N, from the last sum to the first:
    by 1/p of themselves at most. Zero points stay, so that every range holds what it held. Where an operand
    serves two sums whose scales do not fit, the earlier one stays as it is.

    Args:
        graph: of floats, or of int8 that another tool quantized.
        params: of its activations, by tensor index.
        group: tensor index to the representative of those that must share one scale.

    Returns:
        Parameters of the same activations, and of the constants that are added to one or multiply it.
    """
    scales = ScaleChoice(graph, params, group)
    for op in reversed(graph.ops):
        if family(op.kind) == Family.SUM and len(op.inputs) == 2 and op.outputs[0] in params:
            _settle_sum(op, scales)
    products = [op for op in graph.ops if family(op.kind) == Family.PRODUCT and op.outputs[0] in params]
    # First those whose output is settled, while an operand may still move.
    for op in sorted(products, key=lambda op: not scales.is_settled(op.outputs[0])):
        _settle_product(op, scales)
    for op in graph.ops:
        if family(op.kind) == Family.REDUCTION and op.outputs[0] in params and (count := added_up(graph, op)):
            _settle_mean(op, count, scales)
    return scales.params


def added_up(graph: Graph, op: Op) -> int:
    """How many values a reduction over constant axes takes; 0 where the batch is among them."""
    shape, axes = graph.tensors[op.inputs[0]].shape, graph.tensors[op.inputs[1]].data
    over = {int(a) % len(shape) for a in axes.ravel()} if axes is not None else {0}
    return 0 if 0 in over else math.prod(shape[axis] for axis in over)


def error_bound(ratios: tuple[float, float]) -> float:
    """How far a runtime's sum may be from the real one, in steps of the output.

    XNNPACK rounds both ratios to multiples of ``2**-20`` of the larger one's power of two; the built-in
    kernels and float32 are closer.
    """
    return 2 * _CODES * max(ratios) * 2.0**-21


def mean_error_bound(zero_point: int, ratio: float) -> float:
    """How far a runtime's mean or sum may be from the real one, in steps of the output.

    XNNPACK scales the sum of the codes as they are, and takes the scaled zero points off afterwards: three
    roundings of float32, the largest of numbers up to ``ratio * 128`` that cancel.

    Args:
        zero_point: of the values that are averaged.
        ratio: by how many steps the result moves where all values move by one code.
    """
    return 3 * 2.0**-24 * (abs(zero_point) * ratio + _CODES)


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


def _settle_sum(op: Op, scales: ScaleChoice) -> None:
    target = op.outputs[0]
    operands = [scales.of(i) for i in op.inputs]
    if operands[0] is None or operands[1] is None:
        return
    found = {i: scales.scale(i) for i in op.inputs}
    out = scales.scale(target)
    largest = max(found.values()) / out
    parts = next((n for n in _DENOMINATORS if 0.5 / n >= 2 * error_bound((largest, largest))), None)
    if parts is None:
        return
    held = [i for i in found if scales.is_settled(i) and not _is_whole(found[i] / out * parts)]
    if held:
        steps = np.floor(found[held[0]] / out * parts)
        if len({scales.root(i) for i in held}) > 1 or scales.is_settled(target) or steps < 1:
            return
        out = float(np.float32(found[held[0]] * parts / steps))
    made = {target: out}
    for index, scale in found.items():
        ratio = scale / out * parts
        steps = np.rint(ratio) if _is_whole(ratio) else np.ceil(ratio)
        made[index] = scale if scales.is_settled(index) else float(steps / parts * out)
    # As float32 has them; where an operand shares the output's group, the operand's decides.
    rounded = {scales.root(i): float(np.float32(scale)) for i, scale in made.items()}
    first, second = (rounded[scales.root(i)] / rounded[scales.root(target)] for i in op.inputs)
    points = (int(operands[0].zero_point[0]), int(operands[1].zero_point[0]))
    sign = -1 if op.kind == "SUB" else 1
    if distance_from_ties((first, second), points, sign) >= 1.5 * error_bound((first, second)):
        scales.settle(made)


def _settle_product(op: Op, scales: ScaleChoice) -> None:
    first, second, target = *op.inputs, op.outputs[0]
    made = {i: scales.scale(i) for i in (first, second, target)}
    steps = made[first] * made[second] / made[target] * _FACTOR_DENOMINATOR
    for index in (first, second):
        if (code := scales.code_of_scalar(index)) and not scales.is_settled(index):
            # One number: only its product with a code counts, and its own scale is free.
            factor = steps * code
            if factor >= _PRODUCT_STEPS:
                scales.settle(made | {index: made[index] * float(np.rint(factor)) / factor})
            return
    roots = [scales.root(i) for i in (first, second, target)]
    moves = [i for i in (target, first, second) if not scales.is_settled(i)]
    moves = [i for i in moves if roots.count(scales.root(i)) == 1]
    if _is_whole(steps):
        scales.settle(made)
    elif moves and steps >= _PRODUCT_STEPS:
        widened = float(steps / np.floor(steps) if moves[0] == target else np.ceil(steps) / steps)
        scales.settle(made | {moves[0]: made[moves[0]] * widened})


def _settle_mean(op: Op, count: int, scales: ScaleChoice) -> None:
    source, target = op.inputs[0], op.outputs[0]
    if source not in scales.params or scales.is_settled(target):
        return
    if scales.root(source) == scales.root(target):
        return
    share = scales.scale(source) / (1 if op.kind == "SUM" else count)
    ratio, point = share * count / scales.scale(target), int(scales.params[source].zero_point[0])
    parts = next((n for n in _MEAN_DENOMINATORS if 0.5 / n >= mean_error_bound(point, ratio)), None)
    steps = 0 if parts is None else np.floor(share / scales.scale(target) * parts)
    if parts is not None and steps >= _MEAN_STEPS:
        scales.settle({target: share * parts / steps})


def _is_whole(value: float) -> bool:
    return bool(value >= 1 - _NEAR and abs(value - np.rint(value)) <= _NEAR * max(value, 1.0))
