"""How each operator of a `Graph` is spelled in ONNX (standard operators, NCHW).

Reference: ONNX operator specifications of opset 17.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from mnist_export.core.graph import Activation, Op
from mnist_export.core.graph.operators import operator
from mnist_export.export.onnx_builder import OnnxBuilder, clip, has_codes, onnx_dtype, refuse
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
    square,
    squared_difference,
    unary,
)
from mnist_export.export.onnx_layers import (
    average_pool_2d,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    max_pool_2d,
)
from mnist_export.export.onnx_moves import (
    NHWC_TO_NCHW_AXIS,
    concatenation,
    pad,
    reshape,
    strided_slice,
    transpose,
)

BOUNDS: Mapping[Activation, tuple[float, float] | None] = MappingProxyType(
    {
        Activation.NONE: None,
        Activation.RELU: (0.0, math.inf),
        Activation.RELU_N1_TO_1: (-1.0, 1.0),
        Activation.RELU6: (0.0, 6.0),
    }
)
"""Fused activation to the real values that it keeps to."""


def _activated(builder: OnnxBuilder, op: Op, value: str) -> str:
    """Apply the fused activation in real units; the codes of an integer result are left to `_bounded`."""
    target = builder.graph.tensors[op.outputs[0]]
    bounds = BOUNDS[Activation(op.options.get("fusedActivationFunction", 0))]
    if bounds is None or has_codes(target):
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
    if bounds is None or target.quant is None or not has_codes(target):
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
            if not has_codes(target):
                return builder.node("Reshape", [pooled, shape], f"{target.name}/out")
            # Codes are reshaped: ONNX Runtime fuses the pool with the QuantizeLinear behind it.
            builder.store(op.outputs[0], pooled)
            codes = builder.codes[op.outputs[0]]
            builder.codes[op.outputs[0]] = builder.node("Reshape", [codes, shape], f"{target.name}/flat")
            return ""
        if len(source.shape) == 4:
            wanted = sorted(NHWC_TO_NCHW_AXIS[a] for a in wanted)
        return builder.node(reduce, [value], f"{target.name}/out", axes=wanted, keepdims=keep)

    return emit


def softmax(builder: OnnxBuilder, op: Op) -> str:
    """SOFTMAX over the last axis."""
    target = builder.graph.tensors[op.outputs[0]]
    if len(target.shape) == 4:
        raise refuse(target, "is a softmax over rank 4")
    return builder.node("Softmax", [builder.real(op.inputs[0])], f"{target.name}/out", axis=-1)


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
        "SQUARE": square,
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


def emitter(kind: str) -> Callable[[OnnxBuilder, Op], str] | None:
    """How an operator is spelled: by its own kernel, or by the ONNX operator that its entry names."""
    known = operator(kind)
    if kind in EMITTERS or not known.onnx:
        return EMITTERS.get(kind)
    return unary(known.onnx) if known.unary else binary(known.onnx)


def emit(builder: OnnxBuilder, op: Op) -> None:
    """Spell one operator, its fused activation and its output's quantization.

    Raises:
        UnsupportedError: the operator has no ONNX spelling here; the message names the layer.
    """
    target = builder.graph.tensors[op.outputs[0]]
    spell = emitter(op.kind)
    if spell is None:
        raise refuse(target, f"uses the operator {op.kind}, which has no ONNX form here")
    value = spell(builder, op)
    if value:  # else the operator wrote its codes itself
        builder.store(op.outputs[0], _activated(builder, op, value))
        _bounded(builder, op)
