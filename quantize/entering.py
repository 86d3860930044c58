"""Puts a pixel rule into a float graph, so that its files take raw pixels.

``x[c] = scale[c] * pixel[order[c]] + shift[c]`` goes into the weights and biases of the first layers where
that is exact: where no window of theirs leaves the picture, or where one pixel value stands for 0 in every
channel, with which padding then fills. Elsewhere one 1x1 convolution goes before the network: each of its
channels has one weight that is not 0, and the shift is its bias.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Activation, Graph, Op, Padding
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.pixel_rules import ChannelRule
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.network.geometry import window_of

LAYER: Final = "pixel_rule"
"""Name of the layer that is put before a network."""

_VIEWS: Final = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})
_FOLDS: Final = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_SAME_PIXEL: Final = 1e-9
"""How far apart, in steps of a pixel, two pixels are one."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Entered:
    """A graph that computes the rule itself.

    Attributes:
        graph: takes pixels in `input_range`.
        input_range: what pixel values 0 and 255 become for the graph.
        layers: the layers whose weights took the rule; empty where it became a layer of its own.
    """

    graph: Graph
    input_range: InputRange
    layers: tuple[str, ...]


def enter_rule(graph: Graph, rule: ChannelRule) -> Entered:
    """Make a graph that takes pixels, in a range of 0 to 1 or one moved by some pixels.

    Args:
        graph: a float graph with one input, pictures with their channels last or flattened so.
        rule: what it takes so far.

    Raises:
        InputError: a rule for another number of channels.
        UnsupportedError: an input of another kind.
    """
    (entry,) = graph.inputs
    tail = graph.tensors[entry].shape[1:]
    channels = _channels(tail, rule)
    rule = rule.of_channels(channels)
    found = _first_layers(graph, entry, rule)
    if found is not None:
        layers, padded = found
        point = _zero_pixel(rule) if padded else 0.0
        if point is not None:
            return _folded(graph, rule, layers, point)
    return _with_layer(graph, rule, tail)


def holds_zero(pixels: InputRange) -> bool:
    """Whether the real value 0, with which layers pad, is a pixel or next to one."""
    step = (pixels.hi - pixels.lo) / 255
    return -0.5 <= -pixels.lo / step <= 255.5


def _channels(tail: Sequence[int], rule: ChannelRule) -> int:
    """Channels of the input; a flat one holds as many as the rule has."""
    if len(tail) == 3:
        return tail[2]
    count = len(rule.scale)
    if not 1 <= len(tail) <= 3 or math.prod(tail) % count:
        raise UnsupportedError(
            f"{rule.parameters()}: expected pictures of {count} channels, found an input of shape "
            f"{tuple(tail)}. Put the rule into the model, as Rescaling or Normalization layers."
        )
    return count


def _first_layers(graph: Graph, entry: int, rule: ChannelRule) -> tuple[list[Op], bool] | None:
    """The layers with weights that read the picture, and whether one reads padding; None where others do."""
    channels = len(rule.scale)
    layers: list[Op] = []
    padded = False
    pending = [(entry, False)]
    while pending:
        tensor, pads = pending.pop()
        if tensor in graph.outputs:
            return None
        for op in graph.consumers(tensor):
            if op.kind in _VIEWS or op.kind == "PAD":
                width, before = graph.tensors[op.outputs[0]].shape[-1], graph.tensors[tensor].shape[-1]
                if width % channels or (op.kind == "PAD" and width != before):
                    return None
                pending.append((op.outputs[0], pads or op.kind == "PAD"))
            elif _takes(graph, op, tensor, rule):
                layers.append(op)
                padded |= pads or _leaves_input(graph, op)
            else:
                return None
    return (layers, padded) if layers else None


def _takes(graph: Graph, op: Op, tensor: int, rule: ChannelRule) -> bool:
    """Whether a layer's weights can take the rule."""
    channels = len(rule.scale)
    if op.kind not in _FOLDS or op.inputs[0] != tensor:
        return False
    weights, source = graph.tensors[op.inputs[1]], graph.tensors[tensor]
    biases = op.inputs[2:3]
    constant = all(graph.tensors[i].data is not None for i in (op.inputs[1], *(b for b in biases if b >= 0)))
    if not constant or weights.dtype.kind != "f":
        return False
    if op.kind == "DEPTHWISE_CONV_2D":
        # in another order, the outputs would be in another order too
        return source.shape[-1] == channels and not rule.is_reversed and weights.shape[-1] % channels == 0
    grouped = op.kind == "CONV_2D" and weights.shape[-1] != source.shape[-1]
    return not grouped and weights.shape[-1] % channels == 0


def _leaves_input(graph: Graph, op: Op) -> bool:
    if op.kind == "FULLY_CONNECTED":
        return False
    weights, source = graph.tensors[op.inputs[1]].shape, graph.tensors[op.inputs[0]].shape
    return window_of(op, source[1:3], (weights[1], weights[2])).is_padded


def _zero_pixel(rule: ChannelRule) -> float | None:
    """The pixel that becomes 0 in every channel, 0 to 255; None where there is none."""
    points = [0.0 - shift / scale for scale, shift in zip(rule.scale, rule.shift, strict=True)]
    if max(points) - min(points) > _SAME_PIXEL or not -_SAME_PIXEL <= points[0] <= 255 + _SAME_PIXEL:
        return None
    nearest = float(round(points[0]))
    return nearest if abs(nearest - points[0]) < _SAME_PIXEL else points[0]


def _folded(graph: Graph, rule: ChannelRule, layers: list[Op], point: float) -> Entered:
    """The rule in the weights: ``scale * (pixel - point)`` and the rest of the shift in the bias."""
    editor = GraphEditor.in_place(graph)
    scale, shift = np.array(rule.scale), np.array(rule.shift)
    gain = scale * 255  # the graph's own input is (pixel - point) / 255
    rest = np.zeros_like(shift) if point else shift
    for op in layers:
        weights = graph.tensors[op.inputs[1]].real().astype(np.float64)
        has_bias = len(op.inputs) > 2 and op.inputs[2] >= 0
        bias = graph.tensors[op.inputs[2]].real().astype(np.float64) if has_bias else 0.0
        if op.kind == "DEPTHWISE_CONV_2D":
            made, more = _depthwise(weights, gain, rest)
        else:
            made, more = _by_input(weights, gain, rest, rule)
        name = graph.tensors[op.outputs[0]].name
        kernel = editor.constant(f"{name}/kernel", made.astype(np.float32))
        offset = editor.constant(f"{name}/bias", (bias + more).astype(np.float32))
        editor.exchange(op, replace(op, inputs=(op.inputs[0], kernel, offset)))
    return Entered(
        graph=editor.finish(),
        input_range=InputRange(lo=(0 - point) / 255, hi=(255 - point) / 255),
        layers=tuple(graph.tensors[op.outputs[0]].name for op in layers),
    )


_Vector = npt.NDArray[np.float64]


def _by_input(weights: _Vector, gain: _Vector, shift: _Vector, rule: ChannelRule) -> tuple[_Vector, _Vector]:
    """Weights whose last axis runs over the input's values, channels fastest."""
    *outer, width = weights.shape
    parts = weights.reshape(*outer, -1, gain.size)
    bias = (parts * shift).reshape(weights.shape[0], -1).sum(axis=1)
    made = np.empty_like(parts)
    made[..., list(rule.order)] = parts * gain
    return made.reshape(*outer, width), bias


def _depthwise(weights: _Vector, gain: _Vector, shift: _Vector) -> tuple[_Vector, _Vector]:
    """Weights of one channel each."""
    multiplier = weights.shape[3] // gain.size
    wide, offset = np.repeat(gain, multiplier), np.repeat(shift, multiplier)
    return weights * wide, weights.sum(axis=(0, 1, 2)) * offset


def _with_layer(graph: Graph, rule: ChannelRule, tail: Sequence[int]) -> Entered:
    """The rule as a 1x1 convolution of the picture."""
    editor = GraphEditor.in_place(graph)
    (entry,) = graph.inputs
    channels = len(rule.scale)
    kernel = np.zeros((channels, 1, 1, channels), np.float32)
    for place, (scale, source) in enumerate(zip(rule.scale, rule.order, strict=True)):
        kernel[place, 0, 0, source] = 255 * scale
    made = editor.add_tensor(replace(graph.tensors[entry], name=f"{LAYER}/x"))
    editor.redirect(entry, made)
    later = list(editor.ops)
    editor.ops = []
    wide = (1, math.prod(tail) // channels, channels) if len(tail) != 3 else tuple(tail)
    source = editor.reshaped(entry, f"{LAYER}/picture", wide)
    whole = made if source == entry else editor.activation_like(entry, f"{LAYER}/by_channel", (-1, *wide))
    constants = (
        editor.constant(f"{LAYER}/kernel", kernel),
        editor.constant(f"{LAYER}/bias", np.array(rule.shift, np.float32)),
    )
    editor.add("CONV_2D", (source, *constants), (whole,), "Conv2DOptions", _POINTWISE)
    if whole != made:
        editor.reshape(whole, made)
    editor.ops += later
    return Entered(graph=editor.finish(), input_range=InputRange(), layers=())


_POINTWISE: Final[dict[str, Any]] = {
    "padding": int(Padding.VALID),
    "strideW": 1,
    "strideH": 1,
    "dilationWFactor": 1,
    "dilationHFactor": 1,
    "fusedActivationFunction": int(Activation.NONE),
}
