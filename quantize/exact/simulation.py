"""An exact graph as a float32 function of TensorFlow: its integers are exact there too.

Codes and weights are small integers, their products and sums stay below what float32 holds (the certificate
says for which files), so a GPU, or a training framework, computes the very same logits. TF32 and bfloat16
multiply 8-bit codes and weights of 6 significant bits exactly as well, as long as they sum in float32.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.memory import live_activation_bytes
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.quantize.exact.arithmetic import code_range, exponent, shifts_of, zero_point
from mnist_export.quantize.exact.folding import activation_of
from mnist_export.quantize.exact.moves import MOVES
from mnist_export.quantize.network.geometry import window_of
from mnist_export.quantize.network.operators import WEIGHTED

_BATCH = 128


def simulate(
    graph: Graph, pixels: npt.NDArray[np.uint8], *, batch: int = _BATCH, tf32: bool = False
) -> npt.NDArray[np.int8]:
    """Run an exact graph in float32.

    Args:
        graph: int8 throughout, every scale a power of two.
        pixels: uint8, batch first.
        batch: the most images a step.
        tf32: let a GPU multiply in TF32: 11 significant bits, sums in float32.

    Returns:
        int8 logits of shape (n, classes).

    Raises:
        UnsupportedError: a layer that is not exact, by name.
    """
    import tensorflow as tf

    function = tf.function(float_function(graph), reduce_retracing=True)
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(tf32)
    parts = []
    # each int8 value is a float32 here
    batch = fitting(live_activation_bytes(graph) * np.dtype(np.float32).itemsize, largest=batch)
    try:
        for start in range(0, len(pixels), batch):
            codes = pixels[start : start + batch].astype(np.float32) - np.float32(128)
            parts.append(function(codes).numpy())
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
    values = np.concatenate(parts)
    if not np.array_equal(values, np.rint(values)):
        raise UnsupportedError(
            "float32 simulation: expected whole numbers, found fractions: a sum was rounded."
        )
    return np.asarray(values, np.int8)


def float_function(
    graph: Graph,
    *,
    weights: Callable[[Op], tuple[Any, Any]] | None = None,
    straight_through: bool = False,
) -> Callable[[Any], Any]:
    """A function from float32 codes (pixel - 128) to float32 codes of the logits.

    Args:
        graph: as `simulate` takes it.
        weights: gives a layer's integer weights and bias as float32; None takes the graph's own.
        straight_through: let gradients pass the rounding as if it were not there.
    """
    import tensorflow as tf

    def rounded(value: Any) -> Any:
        return value + tf.stop_gradient(tf.round(value) - value) if straight_through else tf.round(value)

    def logits(codes: Any) -> Any:
        entry = graph.inputs[0]
        values = {entry: tf.reshape(codes, (-1, *graph.tensors[entry].shape[1:]))}
        for op in graph.ops:
            if op.kind in WEIGHTED:
                own = weights(op) if weights is not None else _constants(graph, op)
                values[op.outputs[0]] = _weighted(graph, op, values[op.inputs[0]], own, rounded)
            else:
                values[op.outputs[0]] = _run(graph, op, values, rounded)
        return values[graph.outputs[0]]

    return logits


def _constants(graph: Graph, op: Op) -> tuple[Any, Any]:
    weights, bias = graph.tensors[op.inputs[1]].data, graph.tensors[op.inputs[2]].data
    if weights is None or bias is None:
        name = graph.tensors[op.outputs[0]].name
        raise UnsupportedError(f"float32 simulation: layer '{name}' has no constant weights.")
    return weights.astype(np.float32), bias.astype(np.float32)


def _run(graph: Graph, op: Op, values: dict[int, Any], rounded: Callable[[Any], Any]) -> Any:
    if graph.tensors[op.inputs[0]].is_constant and op.kind == "GATHER":
        return _looked_up(graph, op, values)
    if op.kind in MOVES:
        return _moved(graph, op, values)
    if op.kind in {"ADD", "SUB"} and graph.tensors[op.outputs[0]].dtype == np.int8:
        return _added(graph, op, values)
    if op.kind in _REAL:
        return _REAL[op.kind](graph, op, values, rounded)
    raise UnsupportedError(
        f"float32 simulation: layer '{graph.tensors[op.outputs[0]].name}' uses {op.kind}, which is not exact."
    )


def _added(graph: Graph, op: Op, values: dict[int, Any]) -> Any:
    import tensorflow as tf

    target = graph.tensors[op.outputs[0]]
    first, second = (values[i] - float(zero_point(graph.tensors[i])) for i in op.inputs)
    total = first - second if op.kind == "SUB" else first + second
    lo, hi = code_range(target, op.options.get("fusedActivationFunction", 0))
    return tf.clip_by_value(total + float(zero_point(target)), float(lo), float(hi))


def _moved(graph: Graph, op: Op, values: dict[int, Any]) -> Any:
    import tensorflow as tf

    sources = [values[i] for i in op.inputs if i in values]
    target = graph.tensors[op.outputs[0]]
    if op.kind == "MAX_POOL_2D":
        size = (op.options["filterHeight"], op.options["filterWidth"])
        strides = (op.options["strideH"], op.options["strideW"])
        return tf.nn.max_pool2d(sources[0], size, strides, "VALID" if op.options["padding"] else "SAME")
    if op.kind in _PICKED:
        axes = graph.tensors[op.inputs[1]].data if family(op.kind) == Family.REDUCTION else None
        options = {"keepdims": bool(op.options.get("keepDims"))} if axes is not None else {}
        return _PICKED[op.kind](*sources, *([axes.ravel()] if axes is not None else []), **options)
    if family(op.kind) == Family.VIEW:
        return tf.reshape(sources[0], (-1, *target.shape[1:]))
    count = tf.shape(sources[0])[0]
    flat = [tf.reshape(source, (count, -1)) for source in sources]
    padding = tf.fill((count, 1), float(zero_point(graph.tensors[op.inputs[0]])))
    taken = tf.gather(tf.concat([*flat, padding], 1), _places(graph, op, values).ravel(), axis=1)
    return tf.reshape(taken, (-1, *target.shape[1:]))


def _places(graph: Graph, op: Op, values: dict[int, Any]) -> npt.NDArray[np.int64]:
    """Where each code of a move's result stands in its flattened operands; behind them stands the padding."""
    start, numbered = 0, []
    for index in op.inputs:
        if index in values:
            shape = graph.tensors[index].shape[1:]
            size = int(np.prod(shape))
            numbered.append(np.arange(start, start + size, dtype=np.int64).reshape(1, *shape))
            start += size
    found = MOVES[op.kind](graph, op, numbered, -1)
    return np.where(found < 0, start, found)


def _looked_up(graph: Graph, op: Op, values: dict[int, Any]) -> Any:
    """A table's entries; gradients see the slope between a code's neighbours."""
    import tensorflow as tf

    table = graph.tensors[op.inputs[0]].data
    if table is None:
        raise UnsupportedError("float32 simulation: expected a constant table.")
    entries = table.ravel().astype(np.float32)
    slopes = np.gradient(entries).astype(np.float32)
    place = values[op.inputs[1]]
    number = tf.cast(tf.stop_gradient(place), tf.int32)
    slope = tf.gather(slopes, number)
    return tf.gather(entries, number) + slope * (place - tf.stop_gradient(place))


def _real(graph: Graph, index: int, values: dict[int, Any]) -> Any:
    data = graph.tensors[index].data
    return values[index] if data is None else data.astype(np.float32)


def _activated(op: Op, value: Any) -> Any:
    import tensorflow as tf

    kind = activation_of(op)
    return value if not kind else tf.nn.relu6(value) if kind == Activation.RELU6 else tf.nn.relu(value)


def _dequantize(graph: Graph, op: Op, values: dict[int, Any], rounded: Callable[[Any], Any]) -> Any:
    source = graph.tensors[op.inputs[0]]
    return (values[op.inputs[0]] - float(zero_point(source))) * float(2.0 ** exponent(source))


def _quantize(graph: Graph, op: Op, values: dict[int, Any], rounded: Callable[[Any], Any]) -> Any:
    import tensorflow as tf

    target = graph.tensors[op.outputs[0]]
    steps = rounded(values[op.inputs[0]] * float(2.0 ** -exponent(target)))
    return tf.clip_by_value(steps + float(zero_point(target)), -128.0, 127.0)


def _binary(compute: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def run(graph: Graph, op: Op, values: dict[int, Any], rounded: Callable[[Any], Any]) -> Any:
        first, second = (_real(graph, index, values) for index in op.inputs)
        return _activated(op, compute(first, second))

    return run


def _average_pool(graph: Graph, op: Op, values: dict[int, Any], rounded: Callable[[Any], Any]) -> Any:
    import tensorflow as tf

    size = (op.options["filterHeight"], op.options["filterWidth"])
    strides = (op.options["strideH"], op.options["strideW"])
    padding = "VALID" if op.options["padding"] else "SAME"
    return _activated(op, tf.nn.avg_pool2d(values[op.inputs[0]], size, strides, padding))


def _cast(graph: Graph, op: Op, values: dict[int, Any], rounded: Callable[[Any], Any]) -> Any:
    return values[op.inputs[0]]  # whole numbers in float32 already


_REAL: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "DEQUANTIZE": _dequantize,
        "QUANTIZE": _quantize,
        "ADD": _binary(operator.add),
        "SUB": _binary(operator.sub),
        "MUL": _binary(operator.mul),
        "AVERAGE_POOL_2D": _average_pool,
        "CAST": _cast,
    }
)


def _largest(source: Any, axes: Any, *, keepdims: bool) -> Any:
    import tensorflow as tf

    return tf.reduce_max(source, axes, keepdims=keepdims)


def _smallest(source: Any, axes: Any, *, keepdims: bool) -> Any:
    import tensorflow as tf

    return tf.reduce_min(source, axes, keepdims=keepdims)


def _larger(first: Any, second: Any) -> Any:
    import tensorflow as tf

    return tf.maximum(first, second)


def _smaller(first: Any, second: Any) -> Any:
    import tensorflow as tf

    return tf.minimum(first, second)


_PICKED: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"REDUCE_MAX": _largest, "REDUCE_MIN": _smallest, "MAXIMUM": _larger, "MINIMUM": _smaller}
)


def _weighted(graph: Graph, op: Op, source: Any, own: tuple[Any, Any], rounded: Callable[[Any], Any]) -> Any:
    import tensorflow as tf

    weights, bias = own
    target = graph.tensors[op.outputs[0]]
    shape = graph.tensors[op.inputs[1]].shape
    x = source - float(zero_point(graph.tensors[op.inputs[0]]))
    if op.kind == "FULLY_CONNECTED":
        sums = tf.matmul(x, weights, transpose_b=True)
    else:
        window = window_of(op, graph.tensors[op.inputs[0]].shape[1:3], (shape[1], shape[2]))
        x = tf.pad(x, [[0, 0], *map(list, window.pads), [0, 0]])
        if op.kind == "CONV_2D":
            kernel = tf.transpose(weights, (1, 2, 3, 0))
            groups = x.shape[3] // shape[3]
            parts = [
                tf.nn.conv2d(part, own, window.strides, "VALID", dilations=window.dilations)
                for part, own in zip(tf.split(x, groups, 3), tf.split(kernel, groups, 3), strict=True)
            ]
            sums = tf.concat(parts, 3) if groups > 1 else parts[0]
        else:
            kernel = tf.reshape(weights, (*window.kernel, x.shape[3], -1))
            strides = (1, *window.strides, 1)
            sums = tf.nn.depthwise_conv2d(x, kernel, strides, "VALID", dilations=window.dilations)
    steps = np.ldexp(np.float32(1), -shifts_of(graph, op)).astype(np.float32)
    lo, hi = code_range(target, op.options.get("fusedActivationFunction", 0))
    codes = rounded((sums + bias) * steps) + float(zero_point(target))
    return tf.clip_by_value(codes, float(lo), float(hi))
