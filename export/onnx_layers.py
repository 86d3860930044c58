"""How convolutions, dense layers and pools of a `Graph` are written in ONNX.

References: ONNX operator specifications of opset 17; TFLite's SAME padding as in
tensorflow/lite/kernels/padding.h.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Op, Padding, Tensor
from mnist_export.export.onnx_builder import OnnxBuilder, refuse


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
    elif source.shape[-1] == rows.shape[0]:  # of every row
        entered = _as_rows(builder, op.inputs[0])
        builder.after[op.outputs[0]] = [("Reshape", [-1, *target.shape[1:]])]
        builder.leave_native(op.outputs[0])
    else:
        raise refuse(target, f"is dense over {source.shape[-1]} values, expected {rows.shape[0]}")
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


def _as_rows(builder: OnnxBuilder, index: int) -> str:
    """An activation as (all before the last axis, last axis) in real units, codes reshaped as codes."""
    tensor = builder.graph.tensors[index]
    shape = builder.constant(f"{tensor.name}/rows", np.array([-1, tensor.shape[-1]], np.int64))
    codes = tensor.quant is not None and index in builder.codes
    rows = builder.node("Reshape", [builder.native(index, codes=codes), shape], f"{tensor.name}/flat")
    if not codes or tensor.quant is None:
        return rows
    return builder.node(
        "DequantizeLinear", [rows, *builder.scalars(tensor, tensor.quant)], f"{tensor.name}/real"
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
