"""An exact graph as a float32 function of TensorFlow: its integers are exact there too.

Codes and weights are small integers, their products and sums stay below what float32 holds (the certificate
says for which files), so a GPU, or a training framework, computes the very same logits. TF32 and bfloat16
multiply 8-bit codes and weights of 6 significant bits exactly as well, as long as they sum in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.memory import live_activation_bytes
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.quantize.exact.arithmetic import code_range, shifts_of, zero_point
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
                values[op.outputs[0]] = _run(graph, op, values)
        return values[graph.outputs[0]]

    return logits


def _constants(graph: Graph, op: Op) -> tuple[Any, Any]:
    weights, bias = graph.tensors[op.inputs[1]].data, graph.tensors[op.inputs[2]].data
    if weights is None or bias is None:
        name = graph.tensors[op.outputs[0]].name
        raise UnsupportedError(f"float32 simulation: layer '{name}' has no constant weights.")
    return weights.astype(np.float32), bias.astype(np.float32)


def _run(graph: Graph, op: Op, values: dict[int, Any]) -> Any:
    import tensorflow as tf

    source, target = values[op.inputs[0]], graph.tensors[op.outputs[0]]
    if family(op.kind) == Family.VIEW:
        return tf.reshape(source, (-1, *target.shape[1:]))
    if op.kind == "MAX_POOL_2D":
        size = (op.options["filterHeight"], op.options["filterWidth"])
        strides = (op.options["strideH"], op.options["strideW"])
        return tf.nn.max_pool2d(source, size, strides, "VALID" if op.options["padding"] else "SAME")
    if op.kind == "PAD":
        amounts = graph.tensors[op.inputs[1]].data
        return tf.pad(source, amounts, constant_values=zero_point(graph.tensors[op.inputs[0]]))
    if op.kind == "ADD":
        total = sum(values[i] - float(zero_point(graph.tensors[i])) for i in op.inputs)
        lo, hi = code_range(target, op.options.get("fusedActivationFunction", 0))
        return tf.clip_by_value(total + float(zero_point(target)), float(lo), float(hi))
    if op.kind == "CONCATENATION":
        return tf.concat([values[i] for i in op.inputs], int(op.options["axis"]))
    raise UnsupportedError(f"float32 simulation: layer '{target.name}' uses {op.kind}, which is not exact.")


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
            sums = tf.nn.conv2d(x, kernel, window.strides, "VALID", dilations=window.dilations)
        else:
            kernel = tf.reshape(weights, (*window.kernel, x.shape[3], -1))
            strides = (1, *window.strides, 1)
            sums = tf.nn.depthwise_conv2d(x, kernel, strides, "VALID", dilations=window.dilations)
    steps = np.ldexp(np.float32(1), -shifts_of(graph, op)).astype(np.float32)
    lo, hi = code_range(target, op.options.get("fusedActivationFunction", 0))
    codes = rounded((sums + bias) * steps) + float(zero_point(target))
    return tf.clip_by_value(codes, float(lo), float(hi))
