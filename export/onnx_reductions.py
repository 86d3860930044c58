"""How operators that sum over axes are written in ONNX: means, maxima, softmax, products of matrices.

Reference: ONNX operator specifications. Reduce* take axes as an input from opset 18, ReduceSum from 13.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mnist_export.core.graph import Op
from mnist_export.export.onnx_builder import NHWC_TO_NCHW_AXIS, OnnxBuilder, has_codes, refuse

_AXES_AS_INPUT = 18


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
        if (
            pool
            and len(source.shape) == 3
            and wanted == [1]
            and op.inputs[0] in builder.codes
            and has_codes(target)
        ):
            return _pooled_rows(builder, op, pool, keep=keep)
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


def _pooled_rows(builder: OnnxBuilder, op: Op, pool: str, *, keep: int) -> str:
    """A mean or an extreme of codes over rows: by the pool's sums of integers, not by sums of floats."""
    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    if source.quant is None:
        raise refuse(target, "has codes without a scale before it")
    turned = builder.node("Transpose", [builder.codes[op.inputs[0]]], f"{target.name}/turned", perm=[0, 2, 1])
    scalars = builder.scalars(source, source.quant)
    value = builder.node("DequantizeLinear", [turned, *scalars], f"{source.name}/real")
    builder.store(op.outputs[0], builder.node(pool, [value], f"{target.name}/pool"))
    sizes = [0, 1, source.shape[2]] if keep else [0, source.shape[2]]
    shape = builder.constant(f"{target.name}/shape", np.array(sizes, np.int64))
    codes = builder.codes[op.outputs[0]]
    builder.codes[op.outputs[0]] = builder.node("Reshape", [codes, shape], f"{target.name}/flat")
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
