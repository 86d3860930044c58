"""What each ONNX operator of a float classifier is in TensorFlow (onnx/docs/Operators.md)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from mnist_export.models.foreign.onnx_layers import (
    average_pool,
    batch_normalization,
    convolution,
    gemm,
    global_average_pool,
    global_max_pool,
    matmul,
    max_pool,
)
from mnist_export.models.foreign.onnx_values import TO_LAST, Layout, Node, Value, like
from mnist_export.models.structure.engine import tensorflow

Result = Value | list[Value]


def _unary(function: Callable[[Any], Any], positive: bool | None = False) -> Callable[[Node], Result]:
    """An elementwise operator; ``positive`` None keeps what is known of the input."""

    def run(node: Node) -> Result:
        value = node.value()
        if value.constant is not None:
            return Value(tensor=np.asarray(function(value.constant)))
        return value.with_tensor(
            function(value.tensor), positive=value.positive if positive is None else positive
        )

    return run


def _tf(name: str) -> Callable[[Any], Any]:
    def call(tensor: Any) -> Any:
        function = functools.reduce(getattr, name.split("."), tensorflow())
        found = function(tensor)
        return found.numpy() if isinstance(tensor, np.ndarray) else found

    return call


def _binary(name: str) -> Callable[[Node], Result]:
    def run(node: Node) -> Result:
        first, second = node.value(0), node.value(1)
        if first.constant is not None and second.constant is not None:
            return Value(tensor=np.asarray(getattr(np, name)(first.constant, second.constant)))
        function = getattr(tensorflow().math, {"true_divide": "divide"}.get(name, name))
        if second.constant is not None:
            return first.with_tensor(function(first.tensor, like(first, second.constant)))
        if first.constant is not None:
            return second.with_tensor(function(like(second, first.constant), second.tensor))
        positive = first.positive and second.positive and name != "subtract"
        same = first.layout is second.layout and first.image == second.image
        if same and len(first.tensor.shape) == len(second.tensor.shape):
            return first.with_tensor(function(first.tensor, second.tensor), positive=positive)
        return Value(tensor=function(first.plain(), second.plain()), positive=positive)

    return run


def _clip(node: Node) -> Result:
    value, tf = node.value(), tensorflow()
    low, high = node.constant(1, "min"), node.constant(2, "max")
    lo, hi = float(low) if low is not None else -math.inf, float(high) if high is not None else math.inf
    if (lo, hi) == (0.0, 6.0):
        return value.with_tensor(tf.nn.relu6(value.tensor), positive=True)
    tensor = value.tensor
    if lo == 0.0:
        tensor = tf.nn.relu(tensor)
    elif lo > -math.inf:
        tensor = tf.maximum(tensor, np.float32(lo))
    if hi < math.inf:
        tensor = tf.minimum(tensor, np.float32(hi))
    return value.with_tensor(tensor, positive=lo >= 0)


def _leaky(node: Node) -> Result:
    slope = float(node.settings.get("alpha", 0.01))
    return node.value().with_tensor(tensorflow().nn.leaky_relu(node.value().tensor, slope))


def _prelu(node: Node) -> Result:
    value, tf = node.value(), tensorflow()
    slope = node.constant(1)
    if slope is None:
        raise node.unsupported("without a slope")
    rest = tf.minimum(value.tensor, np.float32(0)) * like(value, slope)
    return value.with_tensor(tf.nn.relu(value.tensor) + rest)


def _hard_sigmoid(node: Node) -> Result:
    alpha, beta = float(node.settings.get("alpha", 0.2)), float(node.settings.get("beta", 0.5))
    value, tf = node.value(), tensorflow()
    inner = tf.minimum(tf.nn.relu(value.tensor * np.float32(alpha) + np.float32(beta)), np.float32(1))
    return value.with_tensor(inner, positive=True)


def _hard_swish(node: Node) -> Result:
    value, tf = node.value(), tensorflow()
    return value.with_tensor(value.tensor * tf.nn.relu6(value.tensor + np.float32(3)) * np.float32(1 / 6))


def _elu(node: Node) -> Result:
    if float(node.settings.get("alpha", 1.0)) != 1.0:
        raise node.unsupported("with another alpha than 1")
    return node.value().with_tensor(tensorflow().nn.elu(node.value().tensor))


def _gelu(node: Node) -> Result:
    kind = node.settings.get("approximate", b"none")
    return node.value().with_tensor(
        tensorflow().nn.gelu(node.value().tensor, approximate=kind in {b"tanh", "tanh"})
    )


def _softmax(node: Node) -> Result:
    value = node.value()
    axis = int(node.settings.get("axis", -1))
    return value.with_tensor(tensorflow().nn.softmax(value.tensor, axis=value.axis(axis)), positive=True)


def _same(node: Node) -> Result:
    return node.value()


def _cast(node: Node) -> Result:
    value = node.value()
    if value.constant is not None:
        from onnx import helper

        return Value(tensor=value.constant.astype(helper.tensor_dtype_to_np_dtype(int(node.settings["to"]))))
    if int(node.settings.get("to", 1)) != 1:
        raise node.unsupported("to another type than float32")
    return value


def _constant(node: Node) -> Result:
    from onnx import numpy_helper

    for name, value in node.settings.items():
        if name == "value":
            return Value(tensor=np.asarray(numpy_helper.to_array(value)))
        if name in {"value_float", "value_floats"}:
            return Value(tensor=np.asarray(value, np.float32))
        if name in {"value_int", "value_ints"}:
            return Value(tensor=np.asarray(value, np.int64))
    raise node.unsupported("of this kind")


def _shape(node: Node) -> Result:
    """The batch is written as 0, which Reshape takes for the size that is there."""
    sizes = [0 if size is None else int(size) for size in node.value().shape]
    return Value(tensor=np.asarray(sizes, np.int64))


def _flatten(node: Node) -> Result:
    value = node.value()
    axis = int(node.settings.get("axis", 1))
    if axis not in {1, 1 - len(value.tensor.shape)}:
        raise node.unsupported("at another axis than 1")
    return _rows(value)


def _rows(value: Value) -> Value:
    """One row an image."""
    tf = tensorflow()
    sizes = [int(size) for size in value.tensor.shape[1:]]
    tensor = tf.reshape(value.tensor, (-1, math.prod(sizes)))
    if value.layout is Layout.LAST:
        height, width, channels = sizes
        if height * width > 1 and channels > 1:
            return Value(
                tensor=tensor, layout=Layout.FLAT, image=(channels, height, width), positive=value.positive
            )
        return Value(tensor=tensor, positive=value.positive)
    return value.with_tensor(tensor, positive=value.positive)


def _reshape(node: Node) -> Result:
    value, target = node.value(), node.constant(1, "shape")
    if target is None:
        raise node.unsupported("without a shape")
    wanted = [int(size) for size in target.reshape(-1)]
    if value.constant is not None:
        return Value(tensor=value.constant.reshape(wanted))
    shape = value.shape
    wanted = [
        int(shape[place] or 0) if size == 0 and place > 0 else size for place, size in enumerate(wanted)
    ]
    if not wanted or (wanted[0] != 0 and not (wanted[0] == -1 or (wanted[0] == 1 and node.fixed_batch))):
        raise node.unsupported("to a shape that joins the images of a batch")
    inner = math.prod(int(size or 1) for size in shape[1:])
    rest = wanted[1:]
    if -1 in rest:
        rest[rest.index(-1)] = inner // max(1, -math.prod(rest))
    if math.prod(rest) != inner:
        raise node.unsupported("to a shape that joins the images of a batch")
    if rest == [inner]:
        return _rows(value)
    tensor = tensorflow().reshape(value.plain(), (-1, *rest))
    return Value(tensor=tensor, positive=value.positive)


def _transpose(node: Node) -> Result:
    value = node.value()
    order = [int(axis) for axis in node.settings.get("perm", range(len(value.tensor.shape))[::-1])]
    if value.constant is not None:
        return Value(tensor=value.constant.transpose(order))
    if order[0] != 0:
        raise node.unsupported("of the batch")
    if value.layout is Layout.LAST and tuple(order) == TO_LAST:
        return Value(tensor=value.tensor, positive=value.positive)  # it lies so already
    if value.layout is Layout.PLAIN and tuple(order) == (0, 3, 1, 2):
        return Value(tensor=value.tensor, layout=Layout.LAST, positive=value.positive)
    return Value(tensor=tensorflow().transpose(value.plain(), order), positive=value.positive)


def _concat(node: Node) -> Result:
    values = [value for value in node.inputs if value is not None]
    axis = int(node.settings.get("axis", 0))
    if all(value.constant is not None for value in values):
        return Value(tensor=np.concatenate([value.tensor for value in values], axis=axis))
    positive = all(value.positive for value in values)
    first = values[0]
    if all(value.layout is first.layout and value.layout is not Layout.FLAT for value in values):
        where = first.axis(axis)
        if where == 0:
            raise node.unsupported("of batches")
        return first.with_tensor(
            tensorflow().concat([value.tensor for value in values], where), positive=positive
        )
    return Value(tensor=tensorflow().concat([value.plain() for value in values], axis), positive=positive)


def _squeeze(node: Node) -> Result:
    value = node.value()
    found = node.constant(1, "axes")
    axes = [int(axis) for axis in found.reshape(-1)] if found is not None else None
    if value.constant is not None:
        return Value(tensor=np.squeeze(value.constant, tuple(axes) if axes is not None else None))
    rank = len(value.tensor.shape)
    if axes is None or any(axis % rank == 0 for axis in axes):
        raise node.unsupported("of the batch, or without axes")
    if value.layout is Layout.LAST and {axis % rank for axis in axes} == {2, 3}:
        return Value(tensor=tensorflow().squeeze(value.tensor, (1, 2)), positive=value.positive)
    return Value(tensor=tensorflow().squeeze(value.plain(), axes), positive=value.positive)


def _unsqueeze(node: Node) -> Result:
    value = node.value()
    found = node.constant(1, "axes")
    axes = sorted(int(axis) for axis in found.reshape(-1)) if found is not None else [0]
    tensor = value.constant if value.constant is not None else value.plain()
    for axis in axes:
        if value.constant is not None:
            tensor = np.expand_dims(tensor, axis)
        else:
            tensor = tensorflow().expand_dims(tensor, axis)
    return Value(tensor=tensor, positive=value.positive)


def _gather(node: Node) -> Result:
    value, places = node.value(), node.constant(1)
    axis = int(node.settings.get("axis", 0))
    if value.constant is not None and places is not None:
        return Value(tensor=np.asarray(np.take(value.constant, places, axis)))
    where = value.axis(axis)
    if places is None or places.ndim > 1 or where == 0 or value.layout is Layout.FLAT:
        raise node.unsupported("on these inputs")
    if places.ndim == 0:
        return Value(tensor=tensorflow().gather(value.plain(), int(places), axis=axis))
    return value.with_tensor(tensorflow().gather(value.tensor, places, axis=where), positive=value.positive)


def _reduced(name: str) -> Callable[[Node], Result]:
    def run(node: Node) -> Result:
        value = node.value()
        found = node.constant(1, "axes")
        if found is None or value.layout is Layout.FLAT:
            raise node.unsupported("without axes")
        axes = [int(axis) % len(value.tensor.shape) for axis in found.reshape(-1)]
        keep = bool(node.settings.get("keepdims", 1))
        function = getattr(tensorflow(), name)
        if 0 in axes:
            raise node.unsupported("over the batch")
        if keep:
            tensor = function(value.tensor, [value.axis(axis) for axis in axes], keepdims=True)
            return value.with_tensor(tensor, positive=value.positive)
        if value.layout is Layout.LAST and set(axes) == {2, 3}:
            return Value(tensor=function(value.tensor, (1, 2)), positive=value.positive)
        return Value(tensor=function(value.plain(), axes), positive=value.positive)

    return run


def _pad(node: Node) -> Result:
    value, pads = node.value(), node.constant(1, "pads")
    fill = node.constant(2, "value")
    mode = node.settings.get("mode", b"constant")
    rank = len(value.tensor.shape)
    if pads is None or mode != b"constant" or len(node.inputs) > 3 or value.layout is Layout.FLAT:
        raise node.unsupported("of another mode than constant")
    amounts = [[0, 0] for _ in range(rank)]
    for axis in range(rank):
        amounts[value.axis(axis)] = [int(pads[axis]), int(pads[axis + rank])]
    if min(min(pair) for pair in amounts) < 0 or amounts[0] != [0, 0]:
        raise node.unsupported("that crops, or pads the batch,")
    constant = float(fill) if fill is not None else 0.0
    tensor = tensorflow().pad(value.tensor, amounts, constant_values=constant)
    return value.with_tensor(tensor, positive=value.positive and constant >= 0)


OPERATORS: Final[Mapping[str, Callable[[Node], Result]]] = MappingProxyType(
    {
        "Conv": convolution,
        "Gemm": gemm,
        "MatMul": matmul,
        "BatchNormalization": batch_normalization,
        "MaxPool": max_pool,
        "AveragePool": average_pool,
        "GlobalAveragePool": global_average_pool,
        "GlobalMaxPool": global_max_pool,
        "Relu": _unary(_tf("nn.relu"), positive=True),
        "Clip": _clip,
        "LeakyRelu": _leaky,
        "PRelu": _prelu,
        "Elu": _elu,
        "Gelu": _gelu,
        "HardSigmoid": _hard_sigmoid,
        "HardSwish": _hard_swish,
        "Sigmoid": _unary(_tf("sigmoid"), positive=True),
        "Tanh": _unary(_tf("tanh")),
        "Softplus": _unary(_tf("nn.softplus"), positive=True),
        "Exp": _unary(_tf("exp"), positive=True),
        "Sqrt": _unary(_tf("sqrt"), positive=True),
        "Abs": _unary(_tf("abs"), positive=True),
        "Neg": _unary(_tf("negative")),
        "Softmax": _softmax,
        "Add": _binary("add"),
        "Sub": _binary("subtract"),
        "Mul": _binary("multiply"),
        "Div": _binary("true_divide"),
        "Identity": _same,
        "Dropout": _same,
        "Cast": _cast,
        "Constant": _constant,
        "Shape": _shape,
        "Flatten": _flatten,
        "Reshape": _reshape,
        "Transpose": _transpose,
        "Concat": _concat,
        "Squeeze": _squeeze,
        "Unsqueeze": _unsqueeze,
        "Gather": _gather,
        "ReduceMean": _reduced("reduce_mean"),
        "ReduceMax": _reduced("reduce_max"),
        "Pad": _pad,
    }
)
"""ONNX name to what makes it."""
