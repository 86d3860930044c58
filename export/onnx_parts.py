"""How operators that cut, join, repeat and pick values are written in ONNX; codes are moved as codes.

Reference: ONNX operator specifications of opset 13; the kernels in tensorflow/lite/kernels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Op
from mnist_export.export.onnx_builder import OnnxBuilder, has_codes, refuse

_TO_END = np.iinfo(np.int64).max


def _constant(builder: OnnxBuilder, op: Op, position: int, what: str) -> npt.NDArray[np.int64]:
    data = builder.graph.tensors[op.inputs[position]].data
    if data is None:
        raise refuse(builder.graph.tensors[op.outputs[0]], f"computes its {what} at run time")
    return data.ravel().astype(np.int64)


def _numbers(builder: OnnxBuilder, op: Op, name: str, values: npt.ArrayLike) -> str:
    table = np.asarray(values, np.int64)
    return builder.constant(f"{builder.graph.tensors[op.outputs[0]].name}/{name}", table)


def _moved(builder: OnnxBuilder, op: Op, kind: str, inputs: list[str], source: int, **attributes: int) -> str:
    """One operator over a value whose axes stand in the graph's own order."""
    target = builder.graph.tensors[op.outputs[0]]
    codes = has_codes(target)
    value = builder.native(source, codes=codes)
    made = builder.node(kind, [value, *inputs], f"{target.name}/moved", **attributes)
    builder.keep(op.outputs[0], made, codes=codes)
    return ""


def plain_slice(builder: OnnxBuilder, op: Op) -> str:
    """SLICE: from a place as many as are named, or all that follow."""
    begin, size = _constant(builder, op, 1, "begin"), _constant(builder, op, 2, "size")
    shape = builder.graph.tensors[op.inputs[0]].shape
    end = np.where(size < 0, _TO_END, begin + size)
    if shape[0] < 0:
        end[0] = _TO_END
    names = [_numbers(builder, op, "begin", begin), _numbers(builder, op, "end", end)]
    return _moved(builder, op, "Slice", names, op.inputs[0])


def split(builder: OnnxBuilder, op: Op) -> str:
    """SPLIT into equal parts."""
    axis = int(_constant(builder, op, 0, "axis")[0])
    shape = builder.graph.tensors[op.inputs[1]].shape
    axis %= len(shape)
    return _split(builder, op, op.inputs[1], axis, [shape[axis] // len(op.outputs)] * len(op.outputs))


def split_v(builder: OnnxBuilder, op: Op) -> str:
    """SPLIT_V into parts of stated sizes, of which one may be the rest."""
    shape = builder.graph.tensors[op.inputs[0]].shape
    sizes = _constant(builder, op, 1, "sizes").tolist()
    axis = int(_constant(builder, op, 2, "axis")[0]) % len(shape)
    rest = shape[axis] - sum(size for size in sizes if size >= 0)
    return _split(builder, op, op.inputs[0], axis, [rest if size < 0 else size for size in sizes])


def _split(builder: OnnxBuilder, op: Op, source: int, axis: int, sizes: list[int]) -> str:
    from onnx import helper

    if axis == 0:
        raise refuse(builder.graph.tensors[op.outputs[0]], "splits the batch")
    codes = has_codes(builder.graph.tensors[op.outputs[0]])
    value = builder.native(source, codes=codes)
    targets = [builder.graph.tensors[i] for i in op.outputs]
    names = [builder.unique(f"{target.name}/part") for target in targets]
    parts = _numbers(builder, op, "sizes", sizes)
    builder.nodes.append(
        helper.make_node("Split", [value, parts], names, name=f"{names[0]}/Split", axis=axis)
    )
    for index, name in zip(op.outputs, names, strict=True):
        builder.keep(index, name, codes=codes)
    return ""


def unpack(builder: OnnxBuilder, op: Op) -> str:
    """UNPACK: one Gather for each place along an axis, which goes."""
    rank = len(builder.graph.tensors[op.inputs[0]].shape)
    axis = int(op.options["axis"]) % rank
    if axis == 0:
        raise refuse(builder.graph.tensors[op.outputs[0]], "takes the batch apart")
    codes = has_codes(builder.graph.tensors[op.outputs[0]])
    value = builder.native(op.inputs[0], codes=codes)
    for place, index in enumerate(op.outputs):
        target = builder.graph.tensors[index]
        number = builder.constant(f"{target.name}/place", np.array(place, np.int64))
        builder.keep(
            index, builder.node("Gather", [value, number], f"{target.name}/moved", axis=axis), codes=codes
        )
    return ""


def pack(builder: OnnxBuilder, op: Op) -> str:
    """PACK: values side by side along a new axis."""
    target = builder.graph.tensors[op.outputs[0]]
    axis, codes = int(op.options["axis"]) % len(target.shape), has_codes(target)
    place = _numbers(builder, op, "axis", [axis])
    values = []
    for index in op.inputs:
        value = builder.native(index, codes=codes)
        values.append(builder.node("Unsqueeze", [value, place], f"{target.name}/lifted"))
    made = builder.node("Concat", values, f"{target.name}/packed", axis=axis)
    builder.keep(op.outputs[0], made, codes=codes)
    return ""


def gather(builder: OnnxBuilder, op: Op) -> str:
    """GATHER at constant places of an axis, or in a constant table at computed places."""
    target = builder.graph.tensors[op.outputs[0]]
    if int(op.options.get("batchDims", 0)):
        raise refuse(target, "gathers by batch")
    codes = has_codes(target)
    value = builder.native(op.inputs[0], codes=codes)
    rank = len(builder.graph.tensors[op.inputs[0]].shape)
    places = builder.native(op.inputs[1])
    axis = int(op.options.get("axis", 0)) % rank
    made = builder.node("Gather", [value, places], f"{target.name}/moved", axis=axis)
    builder.keep(op.outputs[0], made, codes=codes)
    return ""


def tile(builder: OnnxBuilder, op: Op) -> str:
    """TILE by constant numbers."""
    times = _numbers(builder, op, "times", _constant(builder, op, 1, "numbers"))
    return _moved(builder, op, "Tile", [times], op.inputs[0])


def reverse(builder: OnnxBuilder, op: Op) -> str:
    """REVERSE_V2 along constant axes, as a Slice that runs backwards."""
    rank = len(builder.graph.tensors[op.inputs[0]].shape)
    axes = np.unique(_constant(builder, op, 1, "axes") % rank)
    whole = np.ones(len(axes), np.int64)
    names = [
        _numbers(builder, op, name, value)
        for name, value in (
            ("begin", -whole),
            ("end", whole * np.iinfo(np.int64).min),
            ("axes", axes),
            ("steps", -whole),
        )
    ]
    return _moved(builder, op, "Slice", names, op.inputs[0])


def space_to_depth(builder: OnnxBuilder, op: Op) -> str:
    """SPACE_TO_DEPTH: pixels of a block, then their channels, as ONNX has it."""
    return _block(builder, op, "SpaceToDepth")


def depth_to_space(builder: OnnxBuilder, op: Op) -> str:
    """DEPTH_TO_SPACE: pixels of a block, then their channels (ONNX's mode DCR)."""
    return _block(builder, op, "DepthToSpace")


def _block(builder: OnnxBuilder, op: Op, kind: str) -> str:
    target, source = builder.graph.tensors[op.outputs[0]], op.inputs[0]
    size = int(op.options["blockSize"])
    if source in builder.channels_last_values:
        raise refuse(target, "moves values of a tensor that ONNX holds in another order")
    if has_codes(target) and source in builder.codes:
        value = builder.node(kind, [builder.codes[source]], f"{target.name}/moved", blocksize=size)
        builder.codes[op.outputs[0]] = value
    else:
        value = builder.node(kind, [builder.real(source)], f"{target.name}/moved", blocksize=size)
        builder.real_values[op.outputs[0]] = value
    return ""
