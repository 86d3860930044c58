"""How operators that sum over axes are written in ONNX: means, maxima, softmax, products of matrices.

Reference: ONNX operator specifications. Reduce* take axes as an input from opset 18, ReduceSum from 13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mnist_export.core.graph import Op
from mnist_export.export.onnx_builder import NHWC_TO_NCHW_AXIS, OnnxBuilder, has_codes, refuse

_AXES_AS_INPUT = 18
_SUMMED = {"ReduceMean", "ReduceSum"}


def reduction(pool: str, reduce: str) -> Callable[[OnnxBuilder, Op], str]:
    """A mean, sum, product or extreme: over height and width a global pool, over other axes a reduction.

    Args:
        pool: ONNX's global pool of the same function, or ``""``.
        reduce: ONNX's reduction.
    """

    def emit(builder: OnnxBuilder, op: Op) -> str:
        source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
        axes = builder.graph.tensors[op.inputs[1]].data
        if axes is None:
            raise refuse(target, "computes its axes at run time")
        wanted = sorted({int(a) % len(source.shape) for a in axes.ravel()})
        keep = int(bool(op.options.get("keepDims")))
        if pool and len(source.shape) == 4 and wanted == [1, 2]:
            return _pooled(builder, op, pool, keep=keep)
        if reduce in _SUMMED and op.inputs[0] in builder.codes and target.dtype == np.int8:
            return _summed_codes(builder, op, wanted)
        # Without an axis of the four, what is left has the graph's own order.
        turned = len(source.shape) == 4 and not keep and 3 not in wanted
        if len(source.shape) == 4 and not turned:
            wanted = sorted(NHWC_TO_NCHW_AXIS[a] for a in wanted)
        value = builder.native(op.inputs[0]) if turned else builder.real(op.inputs[0])
        if len(source.shape) != 4:
            builder.leave_native(op.outputs[0])
        return reduced(builder, reduce, value, f"{target.name}/out", wanted, keep=keep)

    return emit


def reduced(builder: OnnxBuilder, kind: str, value: str, name: str, axes: list[int], *, keep: int) -> str:
    """Append a Reduce operator as the builder's opset has it."""
    if builder.opset < _AXES_AS_INPUT and kind != "ReduceSum":
        return builder.node(kind, [value], name, axes=axes, keepdims=keep)
    table = builder.constant(f"{name}/axes", np.array(axes, np.int64))
    return builder.node(kind, [value, table], name, keepdims=keep)


def _pooled(builder: OnnxBuilder, op: Op, pool: str, *, keep: int) -> str:
    target = builder.graph.tensors[op.outputs[0]]
    pooled = builder.node(pool, [builder.real(op.inputs[0])], f"{target.name}/pool")
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


def _summed_codes(builder: OnnxBuilder, op: Op, axes: list[int]) -> str:
    """A mean or a sum of codes over any axes: by a pool, which adds integers where a reduction adds floats.

    A sum's codes are those of the mean with a scale that many times smaller.
    """
    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    if source.quant is None or target.quant is None or 0 in axes:
        raise refuse(target, "adds up codes without a scale, or images of a batch")
    name = target.name
    left = [axis for axis in range(1, len(source.shape)) if axis not in axes]
    count = int(np.prod([source.shape[axis] for axis in axes]))
    value = builder.native(op.inputs[0], codes=True)
    if (order := [0, *left, *axes]) != sorted(order):
        value = builder.node("Transpose", [value], f"{name}/turned", perm=order)
    rows = np.array([-1, int(np.prod([source.shape[axis] for axis in left])), count], np.int64)
    value = builder.node("Reshape", [value, builder.constant(f"{name}/rows", rows)], f"{name}/rows/codes")
    value = builder.node("DequantizeLinear", [value, *builder.scalars(source, source.quant)], f"{name}/real")
    value = builder.node("GlobalAveragePool", [value], f"{name}/pool")
    factor = count if op.kind == "SUM" else 1
    quant = replace(target.quant, scale=(target.quant.scale / factor).astype(np.float32))
    value = builder.node("QuantizeLinear", [value, *builder.scalars(target, quant)], f"{name}/codes")
    shape = builder.constant(f"{name}/shape", np.array([-1, *target.shape[1:]], np.int64))
    builder.keep(op.outputs[0], builder.node("Reshape", [value, shape], f"{name}/shaped"), codes=True)
    return ""


def softmax(kind: str) -> Callable[[OnnxBuilder, Op], str]:
    """SOFTMAX or LOG_SOFTMAX over the last axis, which is the second in NCHW."""

    def emit(builder: OnnxBuilder, op: Op) -> str:
        target = builder.graph.tensors[op.outputs[0]]
        value = builder.real(op.inputs[0])
        name = f"{target.name}/out"
        beta = float(op.options.get("beta", 1.0)) if kind == "Softmax" else 1.0
        if beta != 1.0:
            factor = builder.constant(f"{target.name}/beta", np.array(beta, np.float32))
            value = builder.node("Mul", [value, factor], f"{target.name}/scaled")
        return builder.node(kind, [value], name, axis=1 if len(target.shape) == 4 else -1)

    return emit


def l2_normalization(builder: OnnxBuilder, op: Op) -> str:
    """L2_NORMALIZATION over the last axis: ``x / max(sqrt(sum(x * x)), 1e-6)``, as LiteRT's kernel has it."""
    target = builder.graph.tensors[op.outputs[0]]
    value, name = builder.real(op.inputs[0]), target.name
    axis = 1 if len(target.shape) == 4 else len(target.shape) - 1
    norm = reduced(builder, "ReduceL2", value, f"{name}/norm", [axis], keep=1)
    least = builder.constant(f"{name}/least", np.array(1e-6, np.float32))
    return builder.node("Div", [value, builder.node("Max", [norm, least], f"{name}/floor")], f"{name}/out")


def cumulative_sum(builder: OnnxBuilder, op: Op) -> str:
    """CUMSUM along a constant axis."""
    target = builder.graph.tensors[op.outputs[0]]
    data = builder.graph.tensors[op.inputs[1]].data
    if data is None:
        raise refuse(target, "computes its axis at run time")
    axis = int(data.ravel()[0]) % len(target.shape)
    axis = NHWC_TO_NCHW_AXIS[axis] if len(target.shape) == 4 else axis
    place = builder.constant(f"{target.name}/axis", np.array(axis, np.int64))
    return builder.node(
        "CumSum",
        [builder.real(op.inputs[0]), place],
        f"{target.name}/out",
        exclusive=int(bool(op.options.get("exclusive"))),
        reverse=int(bool(op.options.get("reverse"))),
    )


def extreme_index(kind: str) -> Callable[[OnnxBuilder, Op], str]:
    """ARG_MAX or ARG_MIN along a constant axis; where several are equal, the first."""

    def emit(builder: OnnxBuilder, op: Op) -> str:
        from onnx import helper

        source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
        data = builder.graph.tensors[op.inputs[1]].data
        if data is None:
            raise refuse(target, "computes its axis at run time")
        axis = int(data.ravel()[0]) % len(source.shape)
        found = builder.node(
            kind, [builder.native(op.inputs[0])], f"{target.name}/index", axis=axis, keepdims=0
        )
        builder.leave_native(op.outputs[0])
        wanted = helper.np_dtype_to_tensor_dtype(target.dtype)
        return builder.node("Cast", [found], f"{target.name}/out", to=wanted)

    return emit


def batch_matmul(builder: OnnxBuilder, op: Op) -> str:
    """BATCH_MATMUL: MatMul over the last two axes, which stay the last two."""
    target = builder.graph.tensors[op.outputs[0]]
    values = []
    for index, turn in zip(op.inputs[:2], ("adjX", "adjY"), strict=True):
        value = builder.native(index)
        if op.options.get(turn):
            rank = len(builder.graph.tensors[index].shape)
            perm = [*range(rank - 2), rank - 1, rank - 2]
            value = builder.node("Transpose", [value], f"{target.name}/turned", perm=perm)
        values.append(value)
    builder.leave_native(op.outputs[0])
    return builder.node("MatMul", values, f"{target.name}/out")
