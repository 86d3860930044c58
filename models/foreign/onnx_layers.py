"""ONNX's layers in TensorFlow, channels last: convolutions, pools, dense layers, batch normalization."""

from __future__ import annotations

from typing import Any

import numpy as np

from mnist_export.models.foreign.onnx_values import TO_LAST, Layout, Node, Value, rows_for
from mnist_export.models.structure.engine import tensorflow

Pads = list[list[int]]


def _images(node: Node) -> Any:
    """The first input with channels last."""
    value = node.value()
    if len(value.tensor.shape) != 4:
        raise node.unsupported("on other than images (two dimensions and channels)")
    if value.layout is Layout.LAST:
        return value.tensor
    return tensorflow().transpose(value.plain(), TO_LAST)


def _window(node: Node, image: Any, kernel: tuple[int, int]) -> tuple[str, Pads | None, list[int], list[int]]:
    """How a window moves: TensorFlow's padding, or explicit pads before ``VALID``; strides; dilations."""
    strides = [int(size) for size in node.settings.get("strides", (1, 1))]
    dilations = [int(size) for size in node.settings.get("dilations", (1, 1))]
    auto = node.settings.get("auto_pad", b"NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else str(auto)
    if auto in {"SAME_UPPER", "VALID"}:
        return auto.partition("_")[0], None, strides, dilations
    if auto != "NOTSET":
        raise node.unsupported(f"with auto_pad {auto}")
    top, left, bottom, right = (int(size) for size in node.settings.get("pads", (0, 0, 0, 0)))
    pads = [[top, bottom], [left, right]]
    if not any(map(any, pads)):
        return "VALID", None, strides, dilations
    same = []
    for axis in range(2):
        size = int(image.shape[1 + axis])
        reach = (kernel[axis] - 1) * dilations[axis] + 1
        total = max((-(-size // strides[axis]) - 1) * strides[axis] + reach - size, 0)
        same.append([total // 2, total - total // 2])
    return ("SAME", None, strides, dilations) if same == pads else ("VALID", pads, strides, dilations)


def _padded(image: Any, pads: Pads | None) -> Any:
    return image if pads is None else tensorflow().pad(image, [[0, 0], *pads, [0, 0]])


def convolution(node: Node) -> Value:
    """``Conv`` of two dimensions, grouped and depthwise too."""
    tf = tensorflow()
    weights, bias = node.constant(1), node.constant(2)
    if weights is None or weights.ndim != 4:
        raise node.unsupported("of other than two dimensions")
    image = _images(node)
    groups = int(node.settings.get("group", 1))
    kernel = (weights.shape[2], weights.shape[3])
    padding, pads, strides, dilations = _window(node, image, kernel)
    image = _padded(image, pads)
    depthwise = groups == int(image.shape[-1]) and weights.shape[1] == 1 and groups > 1
    if depthwise and (strides[0] == strides[1] or max(strides) == 1):
        each = weights.shape[0] // groups
        made = weights.reshape(groups, each, *kernel).transpose(2, 3, 0, 1)
        result = tf.nn.depthwise_conv2d(
            image, np.ascontiguousarray(made), [1, *strides, 1], padding, dilations=dilations
        )
    else:
        made = np.ascontiguousarray(weights.transpose(2, 3, 1, 0))
        result = tf.nn.conv2d(image, made, strides, padding, dilations=dilations)
    if bias is not None:
        result = tf.nn.bias_add(result, bias)
    return Value(tensor=result, layout=Layout.LAST)


def max_pool(node: Node) -> Value:
    """``MaxPool``; explicit padding counts as the lowest value, which 0 is where nothing is below it."""
    value = node.value()
    image = _images(node)
    kernel, padding, pads, strides = _pool(node, image)
    if pads is not None and not value.positive:
        raise node.unsupported("with padding on both sides of values that may be negative")
    result = tensorflow().nn.max_pool2d(_padded(image, pads), kernel, strides, padding)
    return Value(tensor=result, layout=Layout.LAST, positive=value.positive)


def average_pool(node: Node) -> Value:
    """``AveragePool``: padding counts in the mean only where the file says so."""
    value = node.value()
    image = _images(node)
    kernel, padding, pads, strides = _pool(node, image)
    counted = bool(node.settings.get("count_include_pad", 0))
    if padding == "SAME" and counted:
        top, left, bottom, right = (int(size) for size in node.settings.get("pads", (0, 0, 0, 0)))
        padding, pads = "VALID", [[top, bottom], [left, right]]
    elif pads is not None and not counted:
        raise node.unsupported("with padding that its mean leaves out")
    result = tensorflow().nn.avg_pool2d(_padded(image, pads), kernel, strides, padding)
    return Value(tensor=result, layout=Layout.LAST, positive=value.positive)


def _pool(node: Node, image: Any) -> tuple[list[int], str, Pads | None, list[int]]:
    kernel = [int(size) for size in node.settings.get("kernel_shape", ())]
    if len(kernel) != 2:
        raise node.unsupported("of other than two dimensions")
    padding, pads, strides, dilations = _window(node, image, (kernel[0], kernel[1]))
    if dilations != [1, 1]:
        raise node.unsupported("with dilation")
    if node.settings.get("ceil_mode", 0):
        total = [sum(pair) for pair in pads or [[0, 0], [0, 0]]]
        over = [(int(image.shape[1 + a]) + total[a] - kernel[a]) % strides[a] for a in range(2)]
        if any(over) and padding != "SAME":
            raise node.unsupported("with ceil_mode on a size that does not divide")
    return kernel, padding, pads, strides


def global_average_pool(node: Node) -> Value:
    """``GlobalAveragePool``."""
    result = tensorflow().reduce_mean(_images(node), (1, 2), keepdims=True)
    return Value(tensor=result, layout=Layout.LAST, positive=node.value().positive)


def global_max_pool(node: Node) -> Value:
    """``GlobalMaxPool``."""
    result = tensorflow().reduce_max(_images(node), (1, 2), keepdims=True)
    return Value(tensor=result, layout=Layout.LAST, positive=node.value().positive)


def batch_normalization(node: Node) -> Value:
    """``BatchNormalization`` at inference: one factor and one offset a channel."""
    scale, bias, mean, variance = (node.constant(place) for place in range(1, 5))
    if scale is None or bias is None or mean is None or variance is None:
        raise node.unsupported("without its four parameters")
    if node.settings.get("training_mode", 0):
        raise node.unsupported("in training mode")
    epsilon = float(node.settings.get("epsilon", 1e-5))
    with np.errstate(all="ignore"):
        factor = (scale / np.sqrt(variance.astype(np.float64) + epsilon)).astype(np.float32)
        offset = (bias - mean * factor).astype(np.float32)
    if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
        raise node.unsupported("with a variance below 0")
    value = node.value()
    if value.layout is Layout.FLAT:
        factor = rows_for(value, factor[:, None])[:, 0]
        offset = rows_for(value, offset[:, None])[:, 0]
    elif value.layout is Layout.PLAIN and len(value.tensor.shape) > 2:
        inner = (1,) * (len(value.tensor.shape) - 2)
        factor, offset = factor.reshape(-1, *inner), offset.reshape(-1, *inner)
    return value.with_tensor(value.tensor * factor + offset)


def gemm(node: Node) -> Value:
    """``Gemm`` with constant weights."""
    weights, bias = node.constant(1), node.constant(2)
    value = node.value()
    if weights is None or weights.ndim != 2 or node.settings.get("transA", 0):
        raise node.unsupported("of a transposed input, or without weights")
    if node.settings.get("transB", 0):
        weights = weights.T
    made = rows_for(value, weights * np.float32(node.settings.get("alpha", 1.0)))
    result = tensorflow().matmul(value.tensor, np.ascontiguousarray(made))
    if bias is not None:
        whole = np.broadcast_to(bias * np.float32(node.settings.get("beta", 1.0)), (1, made.shape[1]))
        result = tensorflow().nn.bias_add(result, whole.reshape(-1).copy())
    return Value(tensor=result)


def matmul(node: Node) -> Value:
    """``MatMul``, with constant weights or of two computed values."""
    value = node.value()
    second = node.value(1)
    tf = tensorflow()
    if second.constant is not None and second.constant.ndim == 2:
        if value.layout is Layout.LAST:
            return Value(tensor=tf.matmul(value.plain(), second.constant))
        return Value(tensor=tf.matmul(value.tensor, rows_for(value, second.constant)))
    if value.constant is not None or second.constant is not None:
        raise node.unsupported("with weights of other than two dimensions")
    return Value(tensor=tf.matmul(value.plain(), second.plain()))
