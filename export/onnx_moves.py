"""How operators that only move values are written in ONNX.

Reference: ONNX operator specifications of opset 17; tensorflow/lite/kernels/strided_slice.cc for the masks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Graph, Op, Padding
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.export.onnx_builder import (
    NCHW_TO_NHWC,
    NHWC_TO_NCHW,
    NHWC_TO_NCHW_AXIS,
    OnnxBuilder,
    has_codes,
    refuse,
)

_TO_END = np.iinfo(np.int64).max


def strided_slice(builder: OnnxBuilder, op: Op) -> str:
    """STRIDED_SLICE with constant bounds, as Slice and, where axes go or come, Reshape."""
    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    bounds = [builder.graph.tensors[i].data for i in op.inputs[1:4]]
    if any(value is None for value in bounds):
        raise refuse(target, "computes its bounds at run time")
    masks = {
        name: int(op.options.get(f"{name}Mask", 0))
        for name in ("begin", "end", "ellipsis", "newAxis", "shrinkAxis")
    }
    if masks["ellipsis"] or masks["newAxis"]:
        raise refuse(target, "adds an axis while it slices")
    begin, end, steps = (np.array(value, np.int64).ravel() for value in bounds)
    for axis in range(len(begin)):
        if masks["shrinkAxis"] >> axis & 1:
            steps[axis], end[axis] = 1, begin[axis] + 1 if begin[axis] != -1 else _TO_END
            continue
        if masks["begin"] >> axis & 1:
            begin[axis] = 0 if steps[axis] > 0 else _TO_END
        if masks["end"] >> axis & 1:
            end[axis] = _TO_END if steps[axis] > 0 else -_TO_END
        elif op.options.get("offset"):
            end[axis] += begin[axis]
    if masks["shrinkAxis"] & 1:
        raise refuse(target, "takes one image out of the batch")
    if masks["shrinkAxis"]:
        return _shrunk(builder, op, (begin, end, steps), masks["shrinkAxis"])
    axes = np.array([_moved(axis, len(source.shape)) for axis in range(len(begin))], np.int64)
    names = [
        builder.constant(f"{target.name}/{name}", value)
        for name, value in (("begin", begin), ("end", end), ("axes", axes), ("steps", steps))
    ]
    return _move(builder, op, "Slice", names)


def _shrunk(builder: OnnxBuilder, op: Op, bounds: tuple[npt.NDArray[np.int64], ...], mask: int) -> str:
    """A slice that takes single places of some axes, which go; in the graph's own order of axes."""
    target = builder.graph.tensors[op.outputs[0]]
    codes = has_codes(target)
    axes = np.arange(len(bounds[0]), dtype=np.int64)
    gone = np.array([axis for axis in axes if mask >> int(axis) & 1], np.int64)
    names = [
        builder.constant(f"{target.name}/{name}", value)
        for name, value in zip(("begin", "end", "axes", "steps"), (*bounds[:2], axes, bounds[2]), strict=True)
    ]
    value = builder.node("Slice", [builder.native(op.inputs[0], codes=codes), *names], f"{target.name}/slice")
    table = builder.constant(f"{target.name}/gone", gone)
    builder.keep(op.outputs[0], builder.node("Squeeze", [value, table], f"{target.name}/moved"), codes=codes)
    return ""


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


def _moved(axis: int, rank: int) -> int:
    return NHWC_TO_NCHW_AXIS[axis] if rank == 4 else axis


def _move(builder: OnnxBuilder, op: Op, kind: str, inputs: list[str], **attributes: Any) -> str:
    source, target = op.inputs[0], builder.graph.tensors[op.outputs[0]]
    if source in builder.channels_last_values or source in builder.flattened:
        raise refuse(target, "moves values of a tensor that ONNX holds in another order")
    if source in builder.codes and target.quant is not None:
        made = builder.node(kind, [builder.codes[source], *inputs], f"{target.name}/codes", **attributes)
        builder.codes[op.outputs[0]] = made
        return ""
    return builder.node(kind, [builder.real(source), *inputs], f"{target.name}/out", **attributes)


def reshape(builder: OnnxBuilder, op: Op) -> str:
    """RESHAPE, SQUEEZE and EXPAND_DIMS, as Flatten or Reshape, with the layout kept track of."""
    graph = builder.graph
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    value = builder.real(op.inputs[0])
    moved = op.inputs[0] not in builder.channels_last_values
    if moved and len(source.shape) == 4 and min(source.shape[1] * source.shape[2], source.shape[3]) > 1:
        flat = len(target.shape) == 2 and np.prod(source.shape[1:]) == target.shape[1]
        if not builder.channels_last and flat and _only_dense_reads(graph, op.outputs[0]):
            builder.flattened[op.outputs[0]] = source.shape[1:4]
            return builder.node("Flatten", [value], f"{target.name}/out", axis=1)
        value = builder.node("Transpose", [value], f"{target.name}/nhwc", perm=list(NCHW_TO_NHWC))
    sizes = list(target.shape[1:])
    same_rows = np.prod(source.shape[1:]) == np.prod(sizes)  # else images are taken apart or joined
    if len(sizes) == 1 and same_rows:
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
    if has_codes(target) or all(op.kind != "MAX_POOL_2D" for op in builder.graph.consumers(op.outputs[0])):
        return padded
    # ONNX Runtime 1.31 merges a Pad into the MaxPool behind it, whose own pads stand for minus infinity:
    # zeros beside negative values are lost, wider pads than the window are refused. This keeps both apart.
    lowest = builder.constant(f"{target.name}/lowest", np.array(np.finfo(np.float32).min, np.float32))
    return builder.node("Max", [padded, lowest], f"{target.name}/apart")


def _is_convolution_padding(graph: Graph, op: Op, amounts: npt.NDArray[Any]) -> bool:
    """Whether a PAD can be written as the pads of the convolutions that alone read it."""
    readers = graph.consumers(op.outputs[0])
    if not readers or op.outputs[0] in graph.outputs or len(graph.tensors[op.outputs[0]].shape) != 4:
        return False
    spatial = not amounts.reshape(-1, 2)[[0, 3]].any()
    return spatial and all(
        family(reader.kind) == Family.CONVOLUTION
        and reader.inputs[0] == op.outputs[0]
        and Padding(reader.options["padding"]) == Padding.VALID
        for reader in readers
    )


def concatenation(builder: OnnxBuilder, op: Op) -> str:
    """CONCATENATION along one axis."""
    target = builder.graph.tensors[op.outputs[0]]
    axis = int(op.options["axis"]) % len(target.shape)
    axis = _moved(axis, len(target.shape))
    return builder.node("Concat", [_whole(builder, i) for i in op.inputs], f"{target.name}/out", axis=axis)


def _whole(builder: OnnxBuilder, index: int) -> str:
    """A tensor in real units, a constant in the order of axes of its activations."""
    tensor = builder.graph.tensors[index]
    if tensor.data is None:
        return builder.real(index)
    value = builder.native(index)
    if len(tensor.shape) != 4:
        return value
    return builder.node("Transpose", [value], f"{tensor.name}/nchw", perm=list(NHWC_TO_NCHW))
