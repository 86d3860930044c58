"""How each operator of a `Graph` is written in ONNX (standard operators, NCHW).

Reference: ONNX operator specifications of opsets 13 to 21.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.operators import operator
from mnist_export.export.onnx_builder import OnnxBuilder, clip, has_codes, onnx_dtype, refuse
from mnist_export.export.onnx_elementwise import (
    addition,
    binary,
    bounded_relu,
    cast,
    comparison,
    elu,
    floor_division,
    gelu,
    hard_swish,
    leaky_relu,
    not_equal,
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
    concatenation,
    pad,
    reshape,
    strided_slice,
    transpose,
)
from mnist_export.export.onnx_pads import mirror_pad, pad_value
from mnist_export.export.onnx_parts import (
    depth_to_space,
    gather,
    pack,
    plain_slice,
    reverse,
    space_to_depth,
    split,
    split_v,
    tile,
    unpack,
)
from mnist_export.export.onnx_reductions import (
    batch_matmul,
    cumulative_sum,
    extreme_index,
    l2_normalization,
    reduction,
    softmax,
)
from mnist_export.export.onnx_resizing import resize_bilinear, resize_nearest

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


def same(builder: OnnxBuilder, op: Op) -> str:
    """QUANTIZE: the builder itself changes between codes and real values."""
    return builder.real(op.inputs[0])


def dequantize(builder: OnnxBuilder, op: Op) -> str:
    """DEQUANTIZE before layers that stay in float."""
    if _meets_weights(builder.graph, op.outputs[0]):
        return builder.real_for_float(op.inputs[0])
    return builder.real(op.inputs[0])


def _meets_weights(graph: Graph, index: int) -> bool:
    """Whether a float value reaches an operator with float weights, moved at most on the way."""
    seen: set[int] = set()
    found = [index]
    while found:
        for reader in graph.consumers(found.pop()):
            if operator(reader.kind).copies:
                found += [i for i in reader.outputs if i not in seen]
                seen.update(reader.outputs)
            elif _multiplies(reader) and any(graph.tensors[i].is_constant for i in reader.inputs[:2]):
                return True
    return False


def _multiplies(op: Op) -> bool:
    return op.kind == "BATCH_MATMUL" or operator(op.kind).has_weights


EMITTERS: Mapping[str, Callable[[OnnxBuilder, Op], str]] = MappingProxyType(
    {
        "CONV_2D": conv_2d,
        "DEPTHWISE_CONV_2D": depthwise_conv_2d,
        "FULLY_CONNECTED": fully_connected,
        "MAX_POOL_2D": max_pool_2d,
        "AVERAGE_POOL_2D": average_pool_2d,
        "MEAN": reduction("GlobalAveragePool", "ReduceMean"),
        "REDUCE_MAX": reduction("GlobalMaxPool", "ReduceMax"),
        "REDUCE_MIN": reduction("", "ReduceMin"),
        "REDUCE_PROD": reduction("", "ReduceProd"),
        "SUM": reduction("", "ReduceSum"),
        "CUMSUM": cumulative_sum,
        "ARG_MAX": extreme_index("ArgMax"),
        "ARG_MIN": extreme_index("ArgMin"),
        "BATCH_MATMUL": batch_matmul,
        "RESIZE_BILINEAR": resize_bilinear,
        "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
        "RESHAPE": reshape,
        "SQUEEZE": reshape,
        "EXPAND_DIMS": reshape,
        "PAD": pad,
        "PADV2": pad_value,
        "MIRROR_PAD": mirror_pad,
        "STRIDED_SLICE": strided_slice,
        "SLICE": plain_slice,
        "SPLIT": split,
        "SPLIT_V": split_v,
        "PACK": pack,
        "UNPACK": unpack,
        "GATHER": gather,
        "TILE": tile,
        "REVERSE_V2": reverse,
        "SPACE_TO_DEPTH": space_to_depth,
        "DEPTH_TO_SPACE": depth_to_space,
        "TRANSPOSE": transpose,
        "ADD": addition,
        "MAXIMUM": comparison("Max"),
        "MINIMUM": comparison("Min"),
        "RELU6": relu6,
        "RELU_N1_TO_1": bounded_relu(-1.0, 1.0),
        "RELU_0_TO_1": bounded_relu(0.0, 1.0),
        "LEAKY_RELU": leaky_relu,
        "ELU": elu,
        "GELU": gelu,
        "HARD_SWISH": hard_swish,
        "RSQRT": rsqrt,
        "SQUARE": square,
        "SQUARED_DIFFERENCE": squared_difference,
        "FLOOR_DIV": floor_division,
        "CAST": cast,
        "NOT_EQUAL": not_equal,
        "SELECT": select,
        "SELECT_V2": select,
        "SOFTMAX": softmax("Softmax"),
        "LOG_SOFTMAX": softmax("LogSoftmax"),
        "L2_NORMALIZATION": l2_normalization,
        "CONCATENATION": concatenation,
        "QUANTIZE": same,
        "DEQUANTIZE": dequantize,
    }
)
"""TFLite operator to the function that writes it and returns its result's name in real units."""


def emitter(kind: str) -> Callable[[OnnxBuilder, Op], str] | None:
    """How an operator is written: by its own kernel, or by the ONNX operator that its entry names."""
    known = operator(kind)
    if kind in EMITTERS or not known.onnx:
        return EMITTERS.get(kind)
    return unary(known.onnx) if known.unary else binary(known.onnx)


def emit(builder: OnnxBuilder, op: Op) -> None:
    """Write one operator, its fused activation and its output's quantization.

    Raises:
        UnsupportedError: the operator has no ONNX form here; the message names the layer.
    """
    target = builder.graph.tensors[op.outputs[0]]
    write = emitter(op.kind)
    if write is None:
        raise refuse(target, f"uses the operator {op.kind}, which has no ONNX form here")
    value = write(builder, op)
    if value:  # else the operator wrote its codes itself
        builder.store(op.outputs[0], _activated(builder, op, value))
        _bounded(builder, op)
        builder.finish(op.outputs[0])
