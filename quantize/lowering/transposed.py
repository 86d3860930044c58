"""A transposed convolution as an ordinary one whose channels are the pixels of a block.

TRANSPOSE_CONV names its output's shape, a fixed number of images among it, and its integer kernels round
differently from runtime to runtime. Output pixel ``q * stride + r`` is the sum over ``j`` of
``input[q - j] * kernel[j * stride + r]``: for each of the ``stride * stride`` places ``r`` of a block an
ordinary convolution with ``ceil(kernel / stride)`` taps a side (Shi et al., CVPR 2016, "sub-pixel").
Reference: tensorflow/lite/kernels/internal/reference/transpose_conv.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Activation, Graph, Op, Padding
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operators import operator


@dataclass(frozen=True, kw_only=True)
class _Axis:
    """One side: pads of the input, taps, blocks that are computed, and where the output lies in them."""

    stride: int
    taps: int
    pads: tuple[int, int]
    blocks: int
    start: int
    length: int

    @property
    def is_whole(self) -> bool:
        return self.start == 0 and self.blocks * self.stride == self.length


def expand_transposed(graph: Graph) -> Graph:
    """Replace each TRANSPOSE_CONV by PAD, CONV_2D, DEPTH_TO_SPACE and STRIDED_SLICE, as far as needed.

    Args:
        graph: a float graph with a free batch.

    Raises:
        UnsupportedError: a transposed convolution whose weights are computed at run time.
    """
    if all(op.kind != "TRANSPOSE_CONV" for op in graph.ops):
        return graph
    editor = GraphEditor(graph)
    fused: set[Op] = set()
    for op in graph.ops:
        if op in fused:
            continue
        if op.kind != "TRANSPOSE_CONV":
            editor.keep(op)
            continue
        readers = graph.consumers(op.outputs[0])
        last = readers[0] if len(readers) == 1 and operator(readers[0].kind).activation else None
        if last is not None:
            fused.add(last)
        _expand(graph, editor, op, last)
    return editor.finish()


def _axis(size: int, kernel: int, stride: int, length: int, padding: int) -> _Axis:
    total = max((size - 1) * stride + kernel - length, 0) if padding == Padding.SAME else 0
    before = total // 2
    taps = -(-kernel // stride)
    first = before // stride
    blocks = -(-(before + length) // stride) - first
    # Block q reads the inputs from q - (taps - 1) to q.
    pads = (max(taps - 1 - first, 0), max(first + blocks - size, 0))
    return _Axis(
        stride=stride, taps=taps, pads=pads, blocks=blocks, start=before - first * stride, length=length
    )


def _expand(graph: Graph, editor: GraphEditor, op: Op, last: Op | None) -> None:
    result = op.outputs[0] if last is None else last.outputs[0]
    name = graph.tensors[result].name
    layer = graph.tensors[op.outputs[0]].name
    weights = graph.tensors[op.inputs[1]]
    if weights.data is None:
        raise UnsupportedError(
            f"TFLite conversion: layer '{layer}': expected constant weights of a transposed convolution, "
            "found that they are computed at run time. Replace the layer with UpSampling2D and Conv2D."
        )
    source, target = op.inputs[2], graph.tensors[result]
    sides = [
        _axis(
            graph.tensors[source].shape[axis],
            weights.shape[axis],
            int(op.options[stride]),
            target.shape[axis],
            int(op.options["padding"]),
        )
        for axis, stride in ((1, "strideH"), (2, "strideW"))
    ]
    high, wide = sides
    activation = Activation(op.options.get("fusedActivationFunction", 0))
    activation = (operator(last.kind).activation if last is not None else None) or activation
    channels = target.shape[3]
    source = _needed(editor, source, layer, sides)
    padded = editor.padded(source, layer, high.pads, wide.pads)
    kernel = editor.constant(f"{layer}/kernel", _rearranged(weights.data, sides))
    has_bias = len(op.inputs) > 3 and op.inputs[3] >= 0
    bias = graph.tensors[op.inputs[3]].real() if has_bias else np.zeros(channels, np.float32)
    tiled = np.tile(bias, high.stride * wide.stride)  # LiteRT's CONV_2D demands a bias
    inputs = [padded, kernel, editor.constant(f"{layer}/bias", tiled)]
    shape = (-1, high.blocks, wide.blocks, high.stride * wide.stride * channels)
    steps = _steps(high, wide)
    made = result if not steps else editor.activation_like(result, f"{name}/conv_2d", shape)
    editor.add("CONV_2D", tuple(inputs), (made,), "Conv2DOptions", _options(activation))
    for step in steps:
        final = step is steps[-1]
        made = step(editor, made, result if final else None, name, high, wide, channels)


def _needed(editor: GraphEditor, source: int, layer: str, sides: list[_Axis]) -> int:
    """The input without trailing pixels that no output reads (an output cut shorter than usual)."""
    shape = editor.tensor(source).shape
    used = [
        min(shape[axis], side.blocks + side.taps - 1 - side.pads[0])
        for axis, side in zip((1, 2), sides, strict=True)
    ]
    if used == [shape[1], shape[2]]:
        return source
    target = editor.activation_like(source, f"{layer}/read", (-1, *used, shape[3]))
    _cut(editor, source, target, layer, [0, 0], used)
    return target


def _options(activation: Activation) -> dict[str, Any]:
    return {
        "padding": int(Padding.VALID),
        "strideW": 1,
        "strideH": 1,
        "dilationWFactor": 1,
        "dilationHFactor": 1,
        "fusedActivationFunction": int(activation),
    }


def _rearranged(weights: npt.NDArray[Any], sides: list[_Axis]) -> npt.NDArray[np.float32]:
    """Weights (out, kernel H, kernel W, in) as those of a convolution to (block row, block column, out)."""
    high, wide = sides
    outputs, height, width, inputs = weights.shape
    whole = np.zeros((outputs, high.taps * high.stride, wide.taps * wide.stride, inputs), np.float32)
    whole[:, :height, :width] = weights
    parts = whole.reshape(outputs, high.taps, high.stride, wide.taps, wide.stride, inputs)
    parts = parts[:, ::-1, :, ::-1]  # tap t of a window reads input q - (taps - 1 - t)
    ordered = parts.transpose(2, 4, 0, 1, 3, 5)
    return np.ascontiguousarray(ordered.reshape(-1, high.taps, wide.taps, inputs))


def _steps(high: _Axis, wide: _Axis) -> list[Any]:
    steps: list[Any] = []
    if high.stride * wide.stride > 1:
        steps.append(_unfold)
    if not (high.is_whole and wide.is_whole):
        steps.append(_crop)
    return steps


def _unfold(
    editor: GraphEditor, source: int, result: int | None, name: str, high: _Axis, wide: _Axis, channels: int
) -> int:
    """Blocks of channels become pixels."""
    shape = (-1, high.blocks * high.stride, wide.blocks * wide.stride, channels)
    target = editor.activation_like(source, f"{name}/pixels", shape) if result is None else result
    if high.stride == wide.stride:
        options = {"blockSize": high.stride}
        editor.add("DEPTH_TO_SPACE", (source,), (target,), "DepthToSpaceOptions", options)
        return target
    if high.stride > 1:  # rows of a block behind each other: (H, rows, W, columns, C)
        split = (high.blocks, wide.blocks, high.stride, wide.stride * channels)
        parts = editor.reshaped(source, f"{name}/blocks", split)
        moved = editor.activation_like(parts, f"{name}/rows", (-1, split[0], split[2], split[1], split[3]))
        order = editor.constant(f"{name}/order", np.array([0, 1, 3, 2, 4], np.int32))
        editor.add("TRANSPOSE", (parts, order), (moved,), "TransposeOptions", {})
        source = moved
    editor.reshape(source, target)
    return target


def _crop(
    editor: GraphEditor, source: int, result: int | None, name: str, high: _Axis, wide: _Axis, channels: int
) -> int:
    """The output's part of what was computed."""
    shape = (-1, high.length, wide.length, channels)
    target = editor.activation_like(source, f"{name}/part", shape) if result is None else result
    _cut(editor, source, target, name, [high.start, wide.start], [high.length, wide.length])
    return target


def _cut(
    editor: GraphEditor, source: int, target: int, name: str, start: list[int], lengths: list[int]
) -> None:
    channels = editor.tensor(source).shape[3]
    ends = [begin + length for begin, length in zip(start, lengths, strict=True)]
    bounds = [
        editor.constant(f"{name}/{role}", np.array(values, np.int32))
        for role, values in (
            ("begin", [0, *start, 0]),
            ("end", [0, *ends, channels]),
            ("steps", [1, 1, 1, 1]),
        )
    ]
    masks = {"beginMask": 1, "endMask": 1, "ellipsisMask": 0, "newAxisMask": 0, "shrinkAxisMask": 0}
    editor.add("STRIDED_SLICE", (source, *bounds), (target,), "StridedSliceOptions", masks)
