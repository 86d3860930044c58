"""Means over any axes as convolutions whose weights sum to exactly one."""

from __future__ import annotations

from typing import Final

import numpy as np

from mnist_export.core.graph import Graph, Op, Padding
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.quantize.network.averages import obstacle
from mnist_export.quantize.rewrites.average_as_depthwise import average_as_depthwise
from mnist_export.quantize.rewrites.depthwise import WEIGHTS, add_average

LARGEST_AREA: Final = 4096
"""Pixels of a map over which one convolution takes the mean; over larger ones rows come first."""
_PLACES: Final = {2: (0, 3), 3: (0, 1, 3), 4: (0, 1, 2, 3)}
"""Where a tensor's axes stand when it is seen as a map of (batch, height, width, channels), by its rank."""


def lower_means(graph: Graph) -> Graph:
    """Turn MEAN and AVERAGE_POOL_2D into convolutions.

    Pools that divide by less at the border stay, and means over the batch.
    """
    editor = GraphEditor(graph)
    for op in graph.ops:
        if not (op.kind == "MEAN" and _change(editor, op)):
            editor.keep(op)
    return average_as_depthwise(editor.snapshot())


def _change(editor: GraphEditor, op: Op) -> bool:
    source, target = editor.tensor(op.inputs[0]), editor.tensor(op.outputs[0])
    data = editor.tensor(op.inputs[1]).data
    rank = len(source.shape)
    if data is None or rank not in _PLACES:
        return False
    places = {_PLACES[rank][int(axis) % rank] for axis in data.ravel()}
    if not obstacle(editor.graph, op) and source.shape[1] * source.shape[2] <= LARGEST_AREA:
        return False
    if 0 in places:
        return False
    sizes = {2: (1, 1), 3: (source.shape[1], 1)}.get(rank, source.shape[1:3])
    channels = source.shape[-1]
    current = editor.reshaped(op.inputs[0], f"{target.name}/map", (*sizes, channels))
    for number, kernel in enumerate(_kernels(sizes, places)):
        sizes = tuple(1 if taps > 1 else size for taps, size in zip(kernel, sizes, strict=True))
        made = editor.activation_like(op.outputs[0], f"{target.name}/mean{number}", (-1, *sizes, channels))
        add_average(editor, current, made, kernel=kernel)
        current = made
    if 3 in places:
        current = _over_channels(editor, current, target.name)
    editor.reshape(current, op.outputs[0])
    return True


def _kernels(sizes: tuple[int, ...], places: set[int]) -> list[tuple[int, int]]:
    height = sizes[0] if 1 in places else 1
    width = sizes[1] if 2 in places else 1
    if height * width > LARGEST_AREA and min(height, width) > 1:
        return [(height, 1), (1, width)]
    return [(height, width)] if height * width > 1 else []


def _over_channels(editor: GraphEditor, source: int, name: str) -> int:
    """Append a 1x1 convolution to one channel."""
    height, width, channels = editor.tensor(source).shape[1:]
    result = editor.activation_like(source, f"{name}/over_channels", (-1, height, width, 1))
    weights = np.full((1, 1, 1, channels), 1 / channels, np.float32)
    constants = (
        editor.constant(f"{name}/channels{WEIGHTS}", weights),
        editor.constant(f"{name}/channels/zero", np.zeros(1, np.float32)),
    )
    options = {
        "padding": Padding.VALID, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1,
        "fusedActivationFunction": 0,
    }  # fmt: skip
    editor.add("CONV_2D", (source, *constants), (result,), "Conv2DOptions", options)
    return result
