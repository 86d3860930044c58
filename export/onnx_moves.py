"""How operators that only move values are spelled in ONNX: on the codes themselves, where there are codes.

Reference: ONNX operator specifications of opset 17; tensorflow/lite/kernels/strided_slice.cc for the masks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mnist_export.core.graph import Op
from mnist_export.export.onnx_builder import NHWC_TO_NCHW, OnnxBuilder, refuse

_TO_END = np.iinfo(np.int64).max


def strided_slice(builder: OnnxBuilder, op: Op) -> str:
    """STRIDED_SLICE with constant bounds that keeps every axis, as Slice."""
    target = builder.graph.tensors[op.outputs[0]]
    bounds = [builder.graph.tensors[i].data for i in op.inputs[1:4]]
    if any(value is None for value in bounds):
        raise refuse(target, "computes its bounds at run time")
    masks = [int(op.options.get(f"{name}Mask", 0)) for name in ("shrinkAxis", "newAxis", "ellipsis")]
    if any(masks) or len(target.shape) != len(builder.graph.tensors[op.inputs[0]].shape):
        raise refuse(target, "takes an axis away or adds one")
    begin, end, steps = (np.asarray(value, np.int64).copy() for value in bounds)
    if np.any(steps < 1):
        raise refuse(target, "runs backwards")
    for axis in range(len(begin)):
        if int(op.options.get("beginMask", 0)) >> axis & 1:
            begin[axis] = 0
        if int(op.options.get("endMask", 0)) >> axis & 1:
            end[axis] = _TO_END
    axes = np.array(_moved_axes(len(target.shape)), np.int64)[: len(begin)]
    names = [
        builder.constant(f"{target.name}/{name}", value)
        for name, value in (("begin", begin), ("end", end), ("axes", axes), ("steps", steps))
    ]
    return _move(builder, op, "Slice", names)


def transpose(builder: OnnxBuilder, op: Op) -> str:
    """TRANSPOSE by a constant order."""
    target = builder.graph.tensors[op.outputs[0]]
    order = builder.graph.tensors[op.inputs[1]].data
    if order is None:
        raise refuse(target, "computes its order at run time")
    # Axis a of the ONNX value is the graph's axis layout[a].
    layout = list(NHWC_TO_NCHW) if len(target.shape) == 4 else list(range(len(target.shape)))
    wanted = [int(order.ravel()[axis]) for axis in layout]
    return _move(builder, op, "Transpose", [], perm=[layout.index(axis) for axis in wanted])


def _moved_axes(rank: int) -> list[int]:
    """Where each of the graph's axes lies in the ONNX value."""
    return [list(NHWC_TO_NCHW).index(axis) for axis in range(4)] if rank == 4 else list(range(rank))


def _move(builder: OnnxBuilder, op: Op, kind: str, inputs: list[str], **attributes: Any) -> str:
    source, target = op.inputs[0], builder.graph.tensors[op.outputs[0]]
    if source in builder.channels_last_values or source in builder.flattened:
        raise refuse(target, "moves values of a tensor that ONNX holds in another order")
    if source in builder.codes and target.quant is not None:
        made = builder.node(kind, [builder.codes[source], *inputs], f"{target.name}/codes", **attributes)
        builder.codes[op.outputs[0]] = made
        return ""
    return builder.node(kind, [builder.real(source), *inputs], f"{target.name}/out", **attributes)
