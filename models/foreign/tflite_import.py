"""A float .tflite file rebuilt as a TensorFlow function from images to logits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph.ir import Activation, Graph, Op, Padding
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.data.limits import bad_file as refuse
from mnist_export.data.limits import shown
from mnist_export.models.foreign.building import Built
from mnist_export.models.foreign.frozen import freeze
from mnist_export.models.foreign.limits import WRONG_SHAPES, check_elements, quoted
from mnist_export.models.structure.engine import tensorflow

Run = Callable[[Op, list[Any]], Any]


def import_tflite(path: Path, content: bytes) -> Built:
    """Rebuild a network.

    Args:
        path: for messages.
        content: the whole file.

    Raises:
        InputError: it is damaged, quantized, or has not one image as its input and classes as its output.
        UnsupportedError: an operator is not in the table `OPERATORS`; it is named.
    """
    graph = read_tflite(content, where=shown(path))
    for op in graph.ops:
        if op.kind not in OPERATORS:
            known = ", ".join(sorted(OPERATORS))
            raise UnsupportedError(
                f"{shown(path)}: expected operators of a float network ({known}), found "
                f"{quoted(op.kind)}. Export the network without it, or give it as a Keras model."
            )
        for index in op.outputs:
            if graph.tensors[index].dtype not in {np.dtype(np.float32), np.dtype(np.int32)}:
                raise refuse(
                    path,
                    "a float network, which is quantized here",
                    f"{graph.tensors[index].dtype} values at {quoted(graph.tensors[index].name)}",
                    "Give the file before its quantization.",
                )
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        found = f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs"
        raise refuse(path, "one input and one output", found, "Export a network from images to classes.")
    shape = graph.tensors[graph.inputs[0]].shape
    if graph.tensors[graph.inputs[0]].dtype != np.float32 or len(shape) not in {2, 3, 4} or -1 in shape[1:]:
        raise refuse(
            path, "one float32 input of fixed shape", f"{shape}", "Export it with the size of its images."
        )
    tf = tensorflow()

    def function(image: Any) -> Any:
        return tf.identity(_values(path, graph, image, fixed=shape[0] == 1))

    signature = [tf.TensorSpec((None, *shape[1:]), tf.float32, name="image")]
    try:
        concrete = tf.function(function, input_signature=signature, autograph=False).get_concrete_function()
    except (*WRONG_SHAPES, tf.errors.OpError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        found = quoted(lines[0] if lines else type(error).__name__)
        raise refuse(path, "operators whose shapes fit", found, "The file is damaged.") from error
    frozen = freeze(concrete, concrete, path)
    frozen.name = "tflite"
    weights = [t.data for t in graph.tensors if t.data is not None and (t.dtype.kind == "f" or t.quant)]
    frozen.parameters = sum(int(data.size) for data in weights)
    return Built(model=frozen, framework="tf_keras", notes=("read from TFLite",))


def _values(where: Path, graph: Graph, image: Any, *, fixed: bool) -> Any:
    values: dict[int, Any] = {graph.inputs[0]: image}

    def of(index: int) -> Any:
        if index < 0:
            return None
        if index not in values:
            tensor = graph.tensors[index]
            if tensor.data is None:
                raise ValueError(f"tensor '{tensor.name}' is read before it is made")
            real = tensor.dtype.kind == "f" or tensor.quant is not None
            values[index] = tensor.real() if real else tensor.data
            if real and not np.isfinite(values[index]).all():
                raise ValueError(f"tensor '{tensor.name}' holds NaN or infinity")
        return values[index]

    for op in graph.ops:
        inputs = [of(index) for index in op.inputs]
        if op.kind == "RESHAPE":
            made = _reshape(graph, op, inputs, fixed=fixed)
        else:
            made = OPERATORS[op.kind](op, inputs)
        results = made if isinstance(made, list | tuple) else [made]
        check_elements(where, op.kind, results)
        values.update(zip(op.outputs, results, strict=False))
    return of(graph.outputs[0])


def _reshape(graph: Graph, op: Op, inputs: list[Any], *, fixed: bool) -> Any:
    """To the result's shape, of which the batch stays free."""
    shape = list(graph.tensors[op.outputs[0]].shape)
    if isinstance(inputs[0], np.ndarray):
        return inputs[0].reshape(shape)
    if len(inputs) > 1 and isinstance(inputs[1], np.ndarray):
        shape = [int(size) for size in inputs[1]]
    if not shape or not (shape[0] == -1 or (fixed and shape[0] == 1) or -1 in shape):
        raise ValueError("a RESHAPE joins the images of a batch")
    if -1 in shape[1:]:
        whole = int(np.prod([int(size) for size in inputs[0].shape[1:]]))
        rest = shape[1:]
        rest[rest.index(-1)] = whole // max(1, -int(np.prod(rest)))
        shape = [-1, *rest]
    return tensorflow().reshape(inputs[0], [-1, *shape[1:]])


def _activated(op: Op, tensor: Any) -> Any:
    tf = tensorflow()
    kind = Activation(int(op.options.get("fusedActivationFunction", 0)))
    if kind is Activation.RELU:
        return tf.nn.relu(tensor)
    if kind is Activation.RELU6:
        return tf.nn.relu6(tensor)
    return tf.clip_by_value(tensor, -1.0, 1.0) if kind is Activation.RELU_N1_TO_1 else tensor


def _finished(op: Op, inputs: list[Any], result: Any) -> Any:
    """With the bias, where there is one, and the activation."""
    if len(inputs) > 2 and inputs[2] is not None:
        result = tensorflow().nn.bias_add(result, inputs[2])
    return _activated(op, result)


def _padding(op: Op) -> str:
    return "SAME" if op.options.get("padding", Padding.VALID) == Padding.SAME else "VALID"


def _moves(op: Op) -> tuple[list[int], list[int]]:
    strides = [int(op.options["strideH"]), int(op.options["strideW"])]
    return strides, [int(op.options.get(f"dilation{side}Factor", 1) or 1) for side in ("H", "W")]


def _convolution(op: Op, inputs: list[Any]) -> Any:
    tf = tensorflow()
    strides, dilations = _moves(op)
    weights = np.ascontiguousarray(inputs[1].transpose(1, 2, 3, 0))
    result = tf.nn.conv2d(inputs[0], weights, strides, _padding(op), dilations=dilations)
    return _finished(op, inputs, result)


def _depthwise(op: Op, inputs: list[Any]) -> Any:
    tf = tensorflow()
    strides, dilations = _moves(op)
    channels = int(inputs[0].shape[-1])
    weights = inputs[1].reshape(*inputs[1].shape[1:3], channels, -1)
    result = tf.nn.depthwise_conv2d(inputs[0], weights, [1, *strides, 1], _padding(op), dilations=dilations)
    return _finished(op, inputs, result)


def _dense(op: Op, inputs: list[Any]) -> Any:
    tf = tensorflow()
    image = inputs[0]
    if not op.options.get("keepNumDims", False) and len(image.shape) > 2:
        image = tf.reshape(image, (-1, inputs[1].shape[1]))
    result = tf.matmul(image, inputs[1].T)
    return _finished(op, inputs, result)


def _pool(name: str) -> Run:
    def run(op: Op, inputs: list[Any]) -> Any:
        strides, _ = _moves(op)
        kernel = [int(op.options["filterHeight"]), int(op.options["filterWidth"])]
        return _activated(op, getattr(tensorflow().nn, name)(inputs[0], kernel, strides, _padding(op)))

    return run


def _binary(name: str) -> Run:
    return lambda op, inputs: _activated(op, getattr(tensorflow().math, name)(inputs[0], inputs[1]))


def _unary(name: str) -> Run:
    def run(_: Op, inputs: list[Any]) -> Any:
        tf = tensorflow()
        return getattr(tf.nn, name)(inputs[0]) if hasattr(tf.nn, name) else getattr(tf.math, name)(inputs[0])

    return run


def _reduced(name: str) -> Run:
    def run(op: Op, inputs: list[Any]) -> Any:
        axes = [int(axis) for axis in np.asarray(inputs[1]).reshape(-1)]
        if any(axis % len(inputs[0].shape) == 0 for axis in axes):
            raise ValueError(f"{op.kind} joins the images of a batch")
        keep = bool(op.options.get("keepDims", False))
        return getattr(tensorflow(), name)(inputs[0], axes, keepdims=keep)

    return run


def _concatenated(op: Op, inputs: list[Any]) -> Any:
    axis = int(op.options["axis"])
    if axis % len(inputs[0].shape) == 0:
        raise ValueError("CONCATENATION joins batches")
    return _activated(op, tensorflow().concat(inputs, axis))


def _leaky(op: Op, inputs: list[Any]) -> Any:
    return tensorflow().nn.leaky_relu(inputs[0], float(op.options["alpha"]))


def _prelu(_: Op, inputs: list[Any]) -> Any:
    tf = tensorflow()
    return tf.nn.relu(inputs[0]) + tf.minimum(inputs[0], np.float32(0)) * inputs[1]


def _squeezed(op: Op, inputs: list[Any]) -> Any:
    axes = [int(axis) for axis in np.asarray(op.options.get("squeezeDims", ())).reshape(-1)]
    if not axes or 0 in axes:
        raise ValueError("SQUEEZE of the batch, or without axes")
    return tensorflow().squeeze(inputs[0], axes)


def _dequantized(_: Op, inputs: list[Any]) -> Any:
    if not isinstance(inputs[0], np.ndarray):
        raise ValueError("DEQUANTIZE of computed values: the network is quantized already")
    return np.asarray(inputs[0], np.float32)


def _shape(_: Op, inputs: list[Any]) -> Any:
    """The batch is written as -1, which RESHAPE takes for whatever is left."""
    return np.asarray([-1 if size is None else int(size) for size in inputs[0].shape], np.int32)


def _sliced(op: Op, inputs: list[Any]) -> Any:
    """Of a shape; of an image it is refused."""
    if not all(isinstance(value, np.ndarray) and value.ndim == 1 for value in inputs):
        raise UnsupportedError(
            "the operator STRIDED_SLICE on computed values has no form here. Export the network without it, "
            "or give it as a Keras model."
        )
    begin, end, step = (int(value[0]) for value in inputs[1:4])
    if op.options.get("beginMask", 0) & 1:
        begin = 0
    found = inputs[0][begin : None if op.options.get("endMask", 0) & 1 else end : step]
    return found[0] if op.options.get("shrinkAxisMask", 0) & 1 else found


def _packed(op: Op, inputs: list[Any]) -> Any:
    axis = int(op.options.get("axis", 0))
    if all(isinstance(value, np.ndarray | np.generic) for value in inputs):
        return np.stack(inputs, axis)
    if axis == 0:
        raise ValueError("PACK joins batches")
    return tensorflow().stack(inputs, axis)


OPERATORS: Final[Mapping[str, Run]] = MappingProxyType(
    {
        "CONV_2D": _convolution,
        "DEPTHWISE_CONV_2D": _depthwise,
        "FULLY_CONNECTED": _dense,
        "MAX_POOL_2D": _pool("max_pool2d"),
        "AVERAGE_POOL_2D": _pool("avg_pool2d"),
        "ADD": _binary("add"),
        "SUB": _binary("subtract"),
        "MUL": _binary("multiply"),
        "DIV": _binary("divide"),
        "MAXIMUM": _binary("maximum"),
        "MINIMUM": _binary("minimum"),
        "RELU": _unary("relu"),
        "RELU6": _unary("relu6"),
        "LEAKY_RELU": _leaky,
        "PRELU": _prelu,
        "ELU": _unary("elu"),
        "GELU": lambda op, x: tensorflow().nn.gelu(
            x[0], approximate=bool(op.options.get("approximate", False))
        ),
        "LOGISTIC": _unary("sigmoid"),
        "TANH": _unary("tanh"),
        "HARD_SWISH": lambda _, x: x[0] * tensorflow().nn.relu6(x[0] + np.float32(3)) * np.float32(1 / 6),
        "EXP": _unary("exp"),
        "SQRT": _unary("sqrt"),
        "RSQRT": _unary("rsqrt"),
        "SQUARE": _unary("square"),
        "ABS": _unary("abs"),
        "NEG": _unary("negative"),
        "SOFTMAX": _unary("softmax"),
        "SQUARED_DIFFERENCE": lambda _, x: tensorflow().math.squared_difference(x[0], x[1]),
        "MEAN": _reduced("reduce_mean"),
        "SUM": _reduced("reduce_sum"),
        "REDUCE_MAX": _reduced("reduce_max"),
        "CONCATENATION": _concatenated,
        "RESHAPE": lambda _, x: x[0],
        "SQUEEZE": _squeezed,
        "PAD": lambda _, x: tensorflow().pad(x[0], x[1]),
        "TRANSPOSE": lambda _, x: tensorflow().transpose(x[0], x[1]),
        "DEQUANTIZE": _dequantized,
        "SHAPE": _shape,
        "STRIDED_SLICE": _sliced,
        "PACK": _packed,
    }
)
"""TFLite name to what makes it."""
