"""Chooses each activation's power-of-two scale and its zero point.

Tensors that an operator only moves (pools, reshapes, padding, concatenation) share scale and zero point. An
addition needs one scale for both operands and its result, zero points free: then it adds integers, and no
kernel rounds at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.quantize.exact.folding import activation_of
from mnist_export.quantize.exact.forms import APART, FUSING, Form, form_of

Samples = Mapping[int, npt.NDArray[np.float32]]
CANDIDATES = 3
"""Scales tried for each tensor: one that covers every sample, and finer ones that clip."""
BITS_APART = range(2, 12)
"""A sum in which one tensor would lose so many bits at one scale keeps several; with more it is nothing."""
MAX_RELU6_EXPONENT = 1  # 6 is a whole number of steps up to a step of 2


@dataclass(frozen=True, kw_only=True, eq=False)
class ScalePlan:
    """Scales of all activations.

    Attributes:
        exponents: ``e`` of scale ``2**e``, by the smallest tensor index of a group of one scale.
        errors: mean square error of each candidate exponent, by the same key.
        scale_group: activation to its group of one scale.
        point_group: activation to its group of one scale and one zero point.
        points: zero point by exponent, by point group.
    """

    exponents: Mapping[int, int]
    errors: Mapping[int, Mapping[int, float]]
    scale_group: Mapping[int, int]
    point_group: Mapping[int, int]
    points: Mapping[int, Mapping[int, int]]

    def params(self, tensor: int) -> QuantParams:
        """Scale and zero point of an activation."""
        exponent = self.exponents[self.scale_group[tensor]]
        return QuantParams.per_tensor(2.0**exponent, self.points[self.point_group[tensor]][exponent])

    def with_exponent(self, group: int, exponent: int) -> ScalePlan:
        """A copy with another exponent for one group."""
        return replace(self, exponents=dict(self.exponents) | {group: exponent})


def plan_scales(graph: Graph, samples: Samples, entry: QuantParams) -> ScalePlan:
    """Choose each group's exponent by the mean square error on calibration samples.

    Args:
        graph: the outline of a prepared float graph.
        samples: values of each activation, real units, one-dimensional.
        entry: the input's fixed parameters.

    Returns:
        The plan; the input's group has one candidate only.
    """
    points = _groups(graph, {Form.MOVE})
    scales = _groups(graph, {Form.MOVE, Form.SUM})
    heads = [i for i in graph.activations() if _is_head(graph, i)]
    coarsest = _coarsest(graph, scales)
    exponents: dict[int, int] = {}
    errors: dict[int, dict[int, float]] = {}
    chosen_points: dict[int, dict[int, int]] = {}
    for group in sorted(set(scales.values())):
        members = [i for i in heads if scales[i] == group]
        if graph.inputs[0] in members:
            fixed = int(np.log2(entry.scale[0]))
            exponents[group], errors[group] = fixed, {fixed: 0.0}
            chosen_points[points[graph.inputs[0]]] = {fixed: int(entry.zero_point[0])}
            continue
        start = min(max(_covering(samples[i]) for i in members), coarsest.get(group, 1 << 10))
        errors[group] = {}
        for exponent in range(start - CANDIDATES + 1, start + 1):
            total = 0.0
            for point in sorted({points[i] for i in members}):
                pooled = np.concatenate([samples[i] for i in members if points[i] == point])
                zero, error = _best_point(pooled, 2.0**exponent)
                chosen_points.setdefault(point, {})[exponent] = zero
                total += error
            errors[group][exponent] = total
        exponents[group] = min(errors[group], key=lambda e: errors[group][e])
    return ScalePlan(
        exponents=exponents, errors=errors, scale_group=scales, point_group=points, points=chosen_points
    )


def set_apart(graph: Graph, samples: Samples) -> Graph:
    """Mark the sums whose operands or result are of too different sizes for one scale.

    Args:
        graph: the outline of a prepared float graph.
        samples: values of each activation.

    Returns:
        The graph; a marked sum takes `forms.Form.REAL`.
    """
    return replace(
        graph,
        ops=tuple(
            replace(op, options=dict(op.options) | {APART: True})
            if form_of(graph, op) == Form.SUM and _spread(op, samples) in BITS_APART
            else op
            for op in graph.ops
        ),
    )


def _spread(op: Op, samples: Samples) -> int:
    """How many bits the smallest of a sum's tensors would lose at the scale that the largest one needs."""
    needed = [_covering(samples[i]) for i in (*op.inputs, *op.outputs)]
    return max(needed) - min(needed)


def _groups(graph: Graph, joining: set[Form]) -> dict[int, int]:
    """Activations joined by operators of some forms; each group's key is its first tensor."""
    parent = {i: i for i in graph.activations()}

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for op in graph.ops:
        if form_of(graph, op) not in joining:
            continue
        for index in op.inputs:
            if index in parent:
                first, second = sorted((root(index), root(op.outputs[0])))
                parent[second] = first
    return {i: root(i) for i in parent}


def _is_head(graph: Graph, tensor: int) -> bool:
    """Whether a tensor's values are computed, not moved."""
    producer = graph.producer(tensor)
    return producer is None or form_of(graph, producer) != Form.MOVE


def _coarsest(graph: Graph, groups: Mapping[int, int]) -> dict[int, int]:
    return {
        groups[op.outputs[0]]: MAX_RELU6_EXPONENT
        for op in graph.ops
        if op.kind in FUSING and activation_of(op) == Activation.RELU6
    }


def _covering(values: npt.NDArray[np.float32]) -> int:
    lo, hi = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    return int(np.ceil(np.log2(max(hi - lo, 1e-6) / 255.0)))


def _best_point(values: npt.NDArray[np.float32], step: float) -> tuple[int, float]:
    """The zero point with the least mean square error, and that error."""
    best = (0, np.inf)
    for zero in _point_candidates(values, step):
        codes = np.clip(np.rint(values / np.float32(step)) + zero, -128, 127)
        error = float(np.mean((np.float32(step) * (codes - zero) - values) ** 2, dtype=np.float64))
        if error < best[1]:
            best = (zero, error)
    return best


def _point_candidates(values: npt.NDArray[np.float32], step: float) -> Iterator[int]:
    lo, hi = float(values.min()), float(values.max())
    if lo >= 0:
        yield -128
        return
    yield 0
    yield int(np.clip(np.ceil(-128 - lo / step), -128, 127))
    yield int(np.clip(np.floor(127 - hi / step), -128, 127))
