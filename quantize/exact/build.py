"""Builds the integer graph layer by layer; each is rounded on what the quantized ones before it give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.batches import fitting
from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.quantize.exact.advance import advance
from mnist_export.quantize.exact.arithmetic import run_op, zero_point
from mnist_export.quantize.exact.between import add_between
from mnist_export.quantize.exact.forms import Form, form_of
from mnist_export.quantize.exact.grid import (
    BIAS_LIMIT,
    FLOAT32_EVEN_INTEGERS,
    MAX_SATURATED_SHIFT,
    MIN_SHIFT,
    REDUCED_LIMIT,
    WEIGHT_LIMIT,
    accumulator_bounds,
    snap_bias,
    snap_weights,
)
from mnist_export.quantize.exact.lookups import add_lookup
from mnist_export.quantize.exact.observe import Observed
from mnist_export.quantize.exact.prepare import Prepared
from mnist_export.quantize.exact.rounding import LayerRounder, spread_average, statistics
from mnist_export.quantize.exact.scales import ScalePlan
from mnist_export.quantize.network.geometry import patches, window_of
from mnist_export.quantize.network.scheme import SchemeConfig

MAX_VALUES: Final = 8_000_000
"""Values of sampled windows a layer, float32, twice: what its statistics are computed from."""
EXPONENT_TRIES: Final = (-1, 0, 1)
"""Weight scales tried around the one that just holds the largest weight."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rounded:
    """One layer's integers.

    Attributes:
        weights: int8 of shape (channels, k).
        bias: int32 of shape (channels,).
        exponents: of each channel's weight scale.
    """

    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    exponents: npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """What the layer's surroundings demand of its integers.

    Attributes:
        input_exponent: of the input's scale.
        output_exponent: of the output's scale.
        lo: smallest input code minus the zero point.
        hi: largest one.
        limit: largest magnitude of a weight.
        per_channel: one weight scale a channel.
    """

    input_exponent: int
    output_exponent: int
    lo: int
    hi: int
    limit: int
    per_channel: bool


def build(
    prepared: Prepared, plan: ScalePlan, observed: Observed, config: SchemeConfig, seed: int = 0
) -> Graph:
    """Quantize every layer in order.

    Args:
        prepared: the float graph.
        plan: the activations' scales.
        observed: the float network's activations.
        config: per channel or not, and the weights' range.
        seed: chooses which windows the statistics see.

    Returns:
        The exact graph of int8 and int32.

    Raises:
        UnsupportedError: a layer whose weights cannot be put on the grid, by name.
    """
    graph = prepared.outline
    editor = GraphEditor(graph)
    for index in graph.activations():
        tensor = replace(graph.tensors[index], dtype=np.dtype(np.int8), quant=plan.params(index))
        editor.set_tensor(index, tensor)
    first = (observed.images.astype(np.int16) - 128).astype(np.int8)
    entry = graph.inputs[0]
    codes: dict[int, npt.NDArray[Any]] = {entry: first.reshape(len(first), *graph.tensors[entry].shape[1:])}
    last_read = {i: position for position, op in enumerate(graph.ops) for i in op.inputs}
    for position, op in enumerate(graph.ops):
        form = form_of(graph, op)
        if form == Form.WEIGHTED:
            own, floats = codes[op.inputs[0]], observed.inputs[op.inputs[0]]
            made = _quantized(prepared, editor, op, (own, floats), config=config, seed=seed)
            editor.keep(made)
            codes[op.outputs[0]] = advance(editor.tensors, made, own)
        else:
            added = _unweighted(editor, op, form, plan)
            codes[op.outputs[0]] = _run(editor.snapshot(), added, codes)
        for index in [i for i in codes if last_read.get(i, -1) <= position]:
            del codes[index]
    return editor.finish()


def _unweighted(editor: GraphEditor, op: Op, form: Form, plan: ScalePlan) -> tuple[Op, ...]:
    """Append an operator without weights in its form."""
    if form == Form.LOOKUP:
        return add_lookup(editor, op, plan.params(op.inputs[0]), plan.params(op.outputs[0]))
    if form == Form.REAL:
        return add_between(editor, op, editor.tensor(op.outputs[0]).name)
    editor.keep(op)
    return (op,)


def _run(graph: Graph, ops: tuple[Op, ...], codes: Mapping[int, npt.NDArray[Any]]) -> npt.NDArray[np.int8]:
    """Run a few operators, some images at a time where there is float32 between the codes."""
    (result,) = ops[-1].outputs
    read = {i for op in ops for i in op.inputs if i in codes}
    count = len(next(codes[i] for i in read))
    each = sum(4 * int(np.prod(graph.tensors[i].shape[1:])) for op in ops for i in op.outputs)
    batch = count if len(ops) == 1 else fitting(each, largest=max(count, 1))
    parts = []
    for start in range(0, count, batch):
        values = {i: codes[i][start : start + batch] for i in read}
        for op in ops:
            values[op.outputs[0]] = run_op(graph, op, values)
        parts.append(values[result])
    return np.concatenate(parts)


def _quantized(
    prepared: Prepared,
    editor: GraphEditor,
    op: Op,
    seen: tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]],
    *,
    config: SchemeConfig,
    seed: int,
) -> Op:
    """Round one layer on its input's codes and on what the float network has there."""
    source, target = editor.tensor(op.inputs[0]), editor.tensor(op.outputs[0])
    kernel = prepared.graph.tensors[op.inputs[1]]
    weights = channels_first(op, kernel.real().astype(np.float64))
    bias = (
        prepared.graph.tensors[op.inputs[2]].real().astype(np.float64)
        if len(op.inputs) > 2 and op.inputs[2] >= 0
        else np.zeros(len(weights))
    )
    if source.quant is None or target.quant is None:
        raise UnsupportedError(f"exact int8: '{target.name}' has no scale.")
    point = zero_point(source)
    dense, depthwise = op.kind == "FULLY_CONNECTED", op.kind == "DEPTHWISE_CONV_2D"
    targets = Targets(
        input_exponent=int(np.log2(source.quant.scale[0])),
        output_exponent=int(np.log2(target.quant.scale[0])),
        lo=-128 - point,
        hi=127 - point,
        limit=REDUCED_LIMIT if config.reduce_range else WEIGHT_LIMIT,
        per_channel=config.per_channel_dense if dense else config.per_channel,
    )
    own, floats = seen
    rows = _rows(op, kernel.shape, floats, seed)
    real = rows(own, fill=point).astype(np.float32) - np.float32(point)
    stats = statistics(rows(floats, fill=0.0), real * np.float32(2.0**targets.input_exponent))
    rounder = LayerRounder(weights, stats)
    try:
        if op.outputs[0] in prepared.averaging:
            rounded = _average(rounder, weights, bias, targets)
        else:
            rounded = round_layer(rounder, weights, bias, targets)
    except UnsupportedError as error:
        raise UnsupportedError(f"exact int8: layer '{target.name}' {error}") from error
    return replace(
        op,
        inputs=(
            op.inputs[0],
            *_store(editor, kernel, target.name, rounded, depthwise=depthwise, targets=targets),
        ),
    )


def channels_first(op: Op, weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A layer's weights as (output channels, products of one output)."""
    if op.kind == "DEPTHWISE_CONV_2D":
        return np.asarray(weights[0].reshape(-1, weights.shape[3]).T)
    return np.asarray(weights.reshape(len(weights), -1))


def _rows(op: Op, shape: tuple[int, ...], floats: npt.NDArray[Any], seed: int) -> Any:
    """A function that takes the same sampled windows of any array: to (rows, sets, k)."""
    count = len(floats)
    if op.kind == "FULLY_CONNECTED":
        return lambda values, fill: values.reshape(count, 1, -1)
    window = window_of(op, floats.shape[1:3], (shape[1], shape[2]))
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    size = shape[1] * shape[2] * floats.shape[3]
    total = count * window.out[0] * window.out[1]
    rng = np.random.default_rng(seed)
    wanted = max(MAX_VALUES // size, 1024)
    chosen = np.sort(rng.choice(total, wanted, replace=False)) if total > wanted else np.arange(total)
    place = np.unravel_index(chosen, (count, *window.out))

    def take(values: npt.NDArray[Any], fill: float) -> npt.NDArray[Any]:
        taken = patches(values, window, fill)[place]
        if depthwise:
            result: npt.NDArray[Any] = taken.transpose(0, 3, 1, 2).reshape(len(chosen), taken.shape[3], -1)
            return result
        groups = floats.shape[3] // shape[3]
        parts = taken.reshape(len(chosen), *window.kernel, groups, shape[3])
        flat: npt.NDArray[Any] = parts.transpose(0, 3, 1, 2, 4).reshape(len(chosen), groups, -1)
        return flat

    return take


def round_layer(rounder: LayerRounder, weights: Array, bias: Array, targets: Targets) -> Rounded:
    """Round at several scales and keep, channel by channel, what errs least within the certificate's bounds.

    Args:
        rounder: holds the layer's statistics.
        weights: float weights, shape (channels, k), for the scales to start from.
        bias: float biases, real units.
        targets: scales around the layer, and the grid's limits.

    Raises:
        UnsupportedError: no weight scale fits a channel.
    """
    largest = np.abs(rounder.target).max(axis=1)
    whole = float(largest.max()) or 1.0
    start = np.ceil(np.log2(np.where(largest > 0, largest, whole * 2.0**-20) / targets.limit)).astype(
        np.int64
    )
    if not targets.per_channel:
        start[:] = start.max()
    difference = targets.output_exponent - targets.input_exponent
    lowest, highest = difference - MAX_SATURATED_SHIFT, difference - MIN_SHIFT
    best: Rounded | None = None
    least = np.full(len(weights), np.inf)
    for offset in (*EXPONENT_TRIES, 2, 3, 4):
        if offset > max(EXPONENT_TRIES) and np.all(np.isfinite(least)):
            break
        exponents = np.clip(start + offset, lowest, highest)
        step = np.ldexp(np.float64(1), exponents)
        codes = rounder.round(step, targets.limit)
        steps = rounder.bias(bias, codes, step) / (step * 2.0**targets.input_exponent)
        candidate = Rounded(weights=codes, bias=snap_bias(steps), exponents=exponents)
        errors = np.where(_within_bounds(candidate, steps, targets), rounder.error(codes, step), np.inf)
        if not targets.per_channel:
            errors[:] = errors.sum()
        better = errors < least
        least = np.where(better, errors, least)
        best = candidate if best is None else _merged(best, candidate, better)
    if best is None or not np.all(np.isfinite(least)):
        raise UnsupportedError("needs larger sums than exact arithmetic allows. Use ordinary int8 for it.")
    return best


def _merged(old: Rounded, new: Rounded, better: npt.NDArray[np.bool_]) -> Rounded:
    return Rounded(
        weights=np.where(better[:, None], new.weights, old.weights),
        bias=np.where(better, new.bias, old.bias),
        exponents=np.where(better, new.exponents, old.exponents),
    )


def _within_bounds(rounded: Rounded, steps: Array, targets: Targets) -> npt.NDArray[np.bool_]:
    lo, hi = accumulator_bounds(rounded.weights, rounded.bias, targets.lo, targets.hi)
    largest = np.maximum(np.abs(lo), np.abs(hi))
    result: npt.NDArray[np.bool_] = (largest <= FLOAT32_EVEN_INTEGERS) & (np.abs(steps) < BIAS_LIMIT)
    return result


def _average(rounder: LayerRounder, weights: Array, bias: Array, targets: Targets) -> Rounded:
    """An average pool's weights, which sum to exactly one, in the finest form that keeps the shift."""
    taps, exponent = spread_average(weights.shape[1])
    difference = targets.output_exponent - targets.input_exponent
    while difference - exponent < MIN_SHIFT:
        exponent -= 1
        taps = snap_weights(taps.astype(np.float64) * 2)
    codes = np.tile(taps, (len(weights), 1))
    step = np.full(len(weights), 2.0**exponent)
    steps = rounder.bias(bias, codes, step) / (step * 2.0**targets.input_exponent)
    return Rounded(weights=codes, bias=snap_bias(steps), exponents=np.full(len(weights), exponent, np.int64))


def _store(
    editor: GraphEditor, kernel: Tensor, layer: str, rounded: Rounded, *, depthwise: bool, targets: Targets
) -> tuple[int, int]:
    """Append a layer's integers; returns the indices of weights and bias."""
    data = rounded.weights.T.reshape(kernel.shape) if depthwise else rounded.weights.reshape(kernel.shape)
    exponents = rounded.exponents if targets.per_channel else rounded.exponents[:1]
    quant = QuantParams.per_channel(2.0**exponents, 3 if depthwise else 0)
    if not targets.per_channel:
        quant = replace(quant, quantized_dimension=0)
    shift = QuantParams.per_channel(2.0 ** (exponents + targets.input_exponent), 0)
    bias = Tensor(
        name=f"{layer}/exact_bias",
        shape=rounded.bias.shape,
        dtype=np.dtype(np.int32),
        data=rounded.bias,
        quant=shift,
    )
    stored = replace(kernel, name=f"{layer}/exact_kernel", data=data, dtype=np.dtype(np.int8), quant=quant)
    return editor.add_tensor(stored), editor.add_tensor(bias)
