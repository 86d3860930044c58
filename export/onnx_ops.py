"""How each operator of a `Graph` is spelled in ONNX (standard operators, NCHW).

References: ONNX operator specifications of opset 17; TFLite's SAME padding as in
tensorflow/lite/kernels/padding.h.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Activation, Graph, Op, Padding, Tensor
from mnist_export.export.onnx_builder import NCHW_TO_NHWC, NHWC_TO_NCHW, OnnxBuilder, clip, onnx_dtype, refuse
from mnist_export.export.onnx_elementwise import (
    binary,
    comparison,
    elu,
    gelu,
    hard_swish,
    leaky_relu,
    relu6,
    rsqrt,
    select,
    squared_difference,
    unary,
)  # fmt: skip
from mnist_export.export.onnx_moves import strided_slice, transpose

_NHWC_TO_NCHW_AXIS = {0: 0, 1: 2, 2: 3, 3: 1}
BOUNDS: Mapping[Activation, tuple[float, float] | None] = MappingProxyType(
    {
        Activation.NONE: None,
        Activation.RELU: (0.0, math.inf),
        Activation.RELU_N1_TO_1: (-1.0, 1.0),
        Activation.RELU6: (0.0, 6.0),
    }
)
"""Fused activation to the real values that it keeps to."""


def pads(op: Op, source: Tensor, kernel: tuple[int, int]) -> list[int]:
    """ONNX pads (top, left, bottom, right) that equal TFLite's padding.

    SAME pads ``max((ceil(n / stride) - 1) * stride + extent - n, 0)`` in all, the smaller half first.
    """
    if op.options.get("padding", Padding.VALID) == Padding.VALID:
        return [0, 0, 0, 0]
    strides = (op.options["strideH"], op.options["strideW"])
    dilations = (op.options.get("dilationHFactor", 1), op.options.get("dilationWFactor", 1))
    before, after = [], []
    for size, stride, dilation, extent in zip(source.shape[1:3], strides, dilations, kernel, strict=True):
        reach = (extent - 1) * dilation + 1
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return before + after


def _activated(builder: OnnxBuilder, op: Op, value: str) -> str:
    """Apply the fused activation in real units; the codes of an integer result are left to `_bounded`."""
    target = builder.graph.tensors[op.outputs[0]]
    bounds = BOUNDS[Activation(op.options.get("fusedActivationFunction", 0))]
    if bounds is None or _has_codes(target):
        return value
    lo, hi = bounds
    if math.isinf(hi):
        return builder.node("Relu", [value], f"{target.name}/relu")
    return clip(builder, value, target.name, lo, hi)


def _bounded(builder: OnnxBuilder, op: Op) -> None:
    """Bound an integer result's codes by its fused activation, as LiteRT's kernels do.

    Where saturation does so already (a zero point at the smallest code stands for ReLU) nothing is added.
    A bound on the codes keeps the operator before it whole: ONNX Runtime fuses it into integers, which it
    does not with a Relu or Clip between the operator and its QuantizeLinear.
    """
    target = builder.graph.tensors[op.outputs[0]]
    bounds = BOUNDS[Activation(op.options.get("fusedActivationFunction", 0))]
    if bounds is None or target.quant is None or not _has_codes(target):
        return
    dtype = onnx_dtype(target)
    info, scale = np.iinfo(dtype), float(target.quant.scale[0])
    zero = int(target.quant.zero_point[0]) + info.min - np.iinfo(target.dtype).min
    lo, hi = (int(np.clip(np.rint(zero + bound / scale), info.min, info.max)) for bound in bounds)
    if (lo, hi) == (info.min, info.max):
        return
    limits = [
        builder.constant(f"{target.name}/{name}", np.array(b, dtype)) for name, b in (("lo", lo), ("hi", hi))
    ]
    builder.codes[op.outputs[0]] = builder.node(
        "Clip", [builder.codes[op.outputs[0]], *limits], f"{target.name}/clip"
    )


def _has_codes(tensor: Tensor) -> bool:
    return tensor.quant is not None and tensor.dtype != np.float32


def _conv(builder: OnnxBuilder, op: Op, layout: tuple[int, ...], groups: int) -> str:
    source, weights = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.inputs[1]]
    target = builder.graph.tensors[op.outputs[0]]
    if weights.data is None:
        raise refuse(target, "computes its weights at run time")
    entered, _ = builder.padding.get(op.inputs[0], (op.inputs[0], []))
    inputs = [
        builder.real(entered),
        builder.weights(op.inputs[1], weights.data.transpose(layout), axis=0),
        *_bias(builder, op),
    ]
    kernel = (weights.shape[1], weights.shape[2])
    around = builder.padding.get(op.inputs[0])
    return builder.node(
        "Conv",
        inputs,
        f"{target.name}/out",
        kernel_shape=list(kernel),
        strides=[op.options["strideH"], op.options["strideW"]],
        dilations=[op.options.get("dilationHFactor", 1), op.options.get("dilationWFactor", 1)],
        pads=around[1] if around is not None else pads(op, source, kernel),
        group=groups,
    )


def _bias(builder: OnnxBuilder, op: Op) -> list[str]:
    if len(op.inputs) < 3 or op.inputs[2] < 0:
        return []
    bias = builder.graph.tensors[op.inputs[2]]
    if bias.data is None:
        raise refuse(builder.graph.tensors[op.outputs[0]], "computes its bias at run time")
    return [builder.weights(op.inputs[2], bias.data, axis=0)]


def conv_2d(builder: OnnxBuilder, op: Op) -> str:
    """CONV_2D: weights OHWI become OIHW."""
    source, weights = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.inputs[1]]
    return _conv(builder, op, (0, 3, 1, 2), source.shape[3] // weights.shape[3])


def depthwise_conv_2d(builder: OnnxBuilder, op: Op) -> str:
    """DEPTHWISE_CONV_2D: weights 1HWC become C1HW with one group an input channel."""
    return _conv(builder, op, (3, 0, 1, 2), builder.graph.tensors[op.inputs[0]].shape[3])


def fully_connected(builder: OnnxBuilder, op: Op) -> str:
    """FULLY_CONNECTED: Gemm with weights (in, out), rows permuted behind a flattened NCHW tensor.

    Over a map it is a convolution over one pixel.
    """
    source, weights = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.inputs[1]]
    target = builder.graph.tensors[op.outputs[0]]
    if weights.data is None:
        raise refuse(target, "computes its weights at run time")
    if len(source.shape) == len(target.shape) == 4:
        kernel = builder.weights(op.inputs[1], weights.data[:, :, None, None], axis=0)
        return builder.node(
            "Conv", [builder.real(op.inputs[0]), kernel, *_bias(builder, op)], f"{target.name}/out"
        )
    rows = weights.data.T
    if len(source.shape) == len(target.shape) == 4 and source.shape[3] == rows.shape[0]:  # at each pixel
        kernel = builder.weights(op.inputs[1], weights.data[:, :, None, None], axis=0)
        inputs = [builder.real(op.inputs[0]), kernel, *_bias(builder, op)]
        return builder.node("Conv", inputs, f"{target.name}/out", kernel_shape=[1, 1])
    if len(source.shape) == 2:
        entered = builder.real(op.inputs[0])
        if op.inputs[0] in builder.flattened:
            rows = rows[_nchw_order(builder.flattened[op.inputs[0]])]
    elif int(np.prod(source.shape[1:])) == rows.shape[0] and len(target.shape) == 2:
        entered = _flat(builder, op.inputs[0])  # the converter leaves a Flatten out where none is needed
        if len(source.shape) == 4:
            rows = rows[_nchw_order(source.shape[1:])]
    else:
        raise refuse(
            target, f"is dense over an input of rank {len(source.shape)}, expected 2 (add a Flatten)"
        )
    inputs = [entered, builder.weights(op.inputs[1], rows, axis=1), *_bias(builder, op)]
    return builder.node("Gemm", inputs, f"{target.name}/out")


def _flat(builder: OnnxBuilder, index: int) -> str:
    """An activation of any rank as (batch, elements) in real units; codes are flattened as codes."""
    tensor = builder.graph.tensors[index]
    if tensor.quant is None or index not in builder.codes:
        return builder.node("Flatten", [builder.real(index)], f"{tensor.name}/flat", axis=1)
    flat = builder.node("Flatten", [builder.codes[index]], f"{tensor.name}/flat", axis=1)
    return builder.node(
        "DequantizeLinear", [flat, *builder.scalars(tensor, tensor.quant)], f"{tensor.name}/real"
    )


def _nchw_order(shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    height, width, channels = shape
    return np.arange(height * width * channels).reshape(height, width, channels).transpose(2, 0, 1).ravel()


def _pool(builder: OnnxBuilder, op: Op, op_type: str, **attributes: Any) -> str:
    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    kernel = (op.options["filterHeight"], op.options["filterWidth"])
    return builder.node(
        op_type,
        [builder.real(op.inputs[0])],
        f"{target.name}/out",
        kernel_shape=list(kernel),
        strides=[op.options["strideH"], op.options["strideW"]],
        pads=pads(op, source, kernel),
        **attributes,
    )


def max_pool_2d(builder: OnnxBuilder, op: Op) -> str:
    """MAX_POOL_2D."""
    return _pool(builder, op, "MaxPool")


def average_pool_2d(builder: OnnxBuilder, op: Op) -> str:
    """AVERAGE_POOL_2D: TFLite leaves padding out of the mean."""
    return _pool(builder, op, "AveragePool", count_include_pad=0)


def reduction(pool: str, reduce: str) -> Callable[[OnnxBuilder, Op], str]:
    """A mean or maximum: over height and width a global pool, over other axes a reduction."""

    def emit(builder: OnnxBuilder, op: Op) -> str:
        source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
        axes = builder.graph.tensors[op.inputs[1]].data
        if axes is None:
            raise refuse(target, "computes its axes at run time")
        wanted = sorted(int(a) % len(source.shape) for a in axes.ravel())
        value, keep = builder.real(op.inputs[0]), int(bool(op.options.get("keepDims")))
        if len(source.shape) == 4 and wanted == [1, 2]:
            pooled = builder.node(pool, [value], f"{target.name}/pool")
            if keep:
                return pooled
            shape = builder.constant(f"{target.name}/shape", np.array([0, -1], np.int64))
            if not _has_codes(target):
                return builder.node("Reshape", [pooled, shape], f"{target.name}/out")
            # Codes are reshaped: ONNX Runtime fuses the pool with the QuantizeLinear behind it.
            builder.store(op.outputs[0], pooled)
            codes = builder.codes[op.outputs[0]]
            builder.codes[op.outputs[0]] = builder.node("Reshape", [codes, shape], f"{target.name}/flat")
            return ""
        if len(source.shape) == 4:
            wanted = sorted(_NHWC_TO_NCHW_AXIS[a] for a in wanted)
        return builder.node(reduce, [value], f"{target.name}/out", axes=wanted, keepdims=keep)

    return emit


def reshape(builder: OnnxBuilder, op: Op) -> str:
    """RESHAPE, SQUEEZE and EXPAND_DIMS, as Flatten or Reshape, with the layout kept track of."""
    graph = builder.graph
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    value = builder.real(op.inputs[0])
    moved = op.inputs[0] not in builder.channels_last_values
    if moved and len(source.shape) == 4 and min(source.shape[1] * source.shape[2], source.shape[3]) > 1:
        if not builder.channels_last and len(target.shape) == 2 and _only_dense_reads(graph, op.outputs[0]):
            builder.flattened[op.outputs[0]] = source.shape[1:4]
            return builder.node("Flatten", [value], f"{target.name}/out", axis=1)
        value = builder.node("Transpose", [value], f"{target.name}/nhwc", perm=list(NCHW_TO_NHWC))
    sizes = list(target.shape[1:])
    if len(sizes) == 1:
        return builder.node("Flatten", [value], f"{target.name}/out", axis=1)
    if len(sizes) == 3 and min(sizes[0] * sizes[1], sizes[2]) == 1:
        sizes = [sizes[2], sizes[0], sizes[1]]  # NCHW and NHWC have one order here
        return _reshaped(builder, value, target.name, sizes)
    value = _reshaped(builder, value, target.name, sizes)
    if len(sizes) == 3:
        value = builder.node("Transpose", [value], f"{target.name}/nchw", perm=list(NHWC_TO_NCHW))
    return value


def _reshaped(builder: OnnxBuilder, value: str, name: str, sizes: list[int]) -> str:
    shape = builder.constant(f"{name}/shape", np.array([-1, *sizes], np.int64))
    return builder.node("Reshape", [value, shape], f"{name}/out")


def _only_dense_reads(graph: Graph, index: int) -> bool:
    readers = graph.consumers(index)
    return bool(readers) and index not in graph.outputs and all(o.kind == "FULLY_CONNECTED" for o in readers)


def pad(builder: OnnxBuilder, op: Op) -> str:
    """PAD with zeros in real units: the pads of the convolution behind it, or an operator of its own."""
    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    amounts = builder.graph.tensors[op.inputs[1]].data
    if amounts is None:
        raise refuse(target, "computes its padding at run time")
    if _is_convolution_padding(builder.graph, op, amounts):
        (top, bottom), (left, right) = amounts.reshape(-1, 2)[1:3].tolist()
        builder.padding[op.outputs[0]] = op.inputs[0], [top, left, bottom, right]
        return ""
    order = NHWC_TO_NCHW if len(source.shape) == 4 else range(len(source.shape))
    table = amounts.reshape(-1, 2)[list(order)]
    value = builder.constant(f"{target.name}/pads", table.T.ravel().astype(np.int64))
    padded = builder.node("Pad", [builder.real(op.inputs[0]), value], f"{target.name}/out", mode="constant")
    if _has_codes(target) or all(op.kind != "MAX_POOL_2D" for op in builder.graph.consumers(op.outputs[0])):
        return padded
    # ONNX Runtime 1.31 merges a Pad into the MaxPool behind it, whose own pads stand for minus infinity:
    # zeros beside negative values are lost, wider pads than the window are refused. This keeps both apart.
    lowest = builder.constant(f"{target.name}/lowest", np.array(np.finfo(np.float32).min, np.float32))
    return builder.node("Max", [padded, lowest], f"{target.name}/apart")


def _is_convolution_padding(graph: Graph, op: Op, amounts: npt.NDArray[Any]) -> bool:
    """Whether a PAD can be spelled as the pads of the convolutions that alone read it."""
    readers = graph.consumers(op.outputs[0])
    if not readers or op.outputs[0] in graph.outputs or len(graph.tensors[op.outputs[0]].shape) != 4:
        return False
    spatial = not amounts.reshape(-1, 2)[[0, 3]].any()
    return spatial and all(
        reader.kind in {"CONV_2D", "DEPTHWISE_CONV_2D"}
        and reader.inputs[0] == op.outputs[0]
        and Padding(reader.options["padding"]) == Padding.VALID
        for reader in readers
    )


def softmax(builder: OnnxBuilder, op: Op) -> str:
    """SOFTMAX over the last axis."""
    target = builder.graph.tensors[op.outputs[0]]
    if len(target.shape) == 4:
        raise refuse(target, "is a softmax over rank 4")
    return builder.node("Softmax", [builder.real(op.inputs[0])], f"{target.name}/out", axis=-1)


def concatenation(builder: OnnxBuilder, op: Op) -> str:
    """CONCATENATION along one axis."""
    target = builder.graph.tensors[op.outputs[0]]
    axis = int(op.options["axis"]) % len(target.shape)
    axis = _NHWC_TO_NCHW_AXIS[axis] if len(target.shape) == 4 else axis
    return builder.node("Concat", [builder.real(i) for i in op.inputs], f"{target.name}/out", axis=axis)


def same(builder: OnnxBuilder, op: Op) -> str:
    """QUANTIZE: the builder itself changes between codes and real values."""
    return builder.real(op.inputs[0])


def dequantize(builder: OnnxBuilder, op: Op) -> str:
    """DEQUANTIZE before layers that stay in float."""
    return builder.real_for_float(op.inputs[0])


EMITTERS: Mapping[str, Callable[[OnnxBuilder, Op], str]] = MappingProxyType(
    {
        "CONV_2D": conv_2d,
        "DEPTHWISE_CONV_2D": depthwise_conv_2d,
        "FULLY_CONNECTED": fully_connected,
        "MAX_POOL_2D": max_pool_2d,
        "AVERAGE_POOL_2D": average_pool_2d,
        "MEAN": reduction("GlobalAveragePool", "ReduceMean"),
        "REDUCE_MAX": reduction("GlobalMaxPool", "ReduceMax"),
        "RESHAPE": reshape,
        "SQUEEZE": reshape,
        "EXPAND_DIMS": reshape,
        "PAD": pad,
        "STRIDED_SLICE": strided_slice,
        "TRANSPOSE": transpose,
        "ADD": binary("Add"),
        "SUB": binary("Sub"),
        "MUL": binary("Mul"),
        "MAXIMUM": comparison("Max"),
        "MINIMUM": comparison("Min"),
        "RELU": unary("Relu"),
        "RELU6": relu6,
        "LEAKY_RELU": leaky_relu,
        "PRELU": binary("PRelu"),
        "ELU": elu,
        "GELU": gelu,
        "HARD_SWISH": hard_swish,
        "ABS": unary("Abs"),
        "NEG": unary("Neg"),
        "EXP": unary("Exp"),
        "LOG": unary("Log"),
        "SQRT": unary("Sqrt"),
        "RSQRT": rsqrt,
        "SQUARED_DIFFERENCE": squared_difference,
        "DIV": binary("Div"),
        "POW": binary("Pow"),
        "GREATER": binary("Greater"),
        "GREATER_EQUAL": binary("GreaterOrEqual"),
        "LESS": binary("Less"),
        "LESS_EQUAL": binary("LessOrEqual"),
        "SELECT": select,
        "SELECT_V2": select,
        "LOGISTIC": unary("Sigmoid"),
        "TANH": unary("Tanh"),
        "SOFTMAX": softmax,
        "CONCATENATION": concatenation,
        "QUANTIZE": same,
        "DEQUANTIZE": dequantize,
    }
)
"""TFLite operator to the function that spells it and returns its result's name in real units."""


def emit(builder: OnnxBuilder, op: Op) -> None:
    """Spell one operator, its fused activation and its output's quantization.

    Raises:
        UnsupportedError: the operator has no ONNX spelling here; the message names the layer.
    """
    target = builder.graph.tensors[op.outputs[0]]
    if op.kind not in EMITTERS:
        raise refuse(target, f"uses the operator {op.kind}, which has no ONNX form here")
    value = EMITTERS[op.kind](builder, op)
    if value:  # else the operator wrote its codes itself
        builder.store(op.outputs[0], _activated(builder, op, value))
        _bounded(builder, op)
