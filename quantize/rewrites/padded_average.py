"""Turns average pools that divide by less at the border into a convolution and factors by position.

A window that leaves the map is averaged over the pixels that it holds. The convolution counts zeros there and
divides by the whole window everywhere; a factor for each position, 1 in the middle, makes up for it. Runtimes
round the pool differently, and both of these in the same way.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.quantize.network.geometry import Window, patches, window_of
from mnist_export.quantize.rewrites.depthwise import add_average
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage


def padded_average(graph: Graph) -> Graph:
    """Turn each AVERAGE_POOL_2D whose windows leave the map into DEPTHWISE_CONV_2D and MUL.

    Args:
        graph: of float32.

    Returns:
        The graph with the same float function; the same object where there is no such pool.
    """
    windows = {op: window for op in graph.ops if (window := _padded(graph, op)) is not None}
    if not windows:
        return graph
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op in windows:
            _change(editor, op, windows[op])
        else:
            editor.keep(op)
    return editor.finish()


def _padded(graph: Graph, op: Op) -> Window | None:
    if op.kind != "AVERAGE_POOL_2D" or graph.tensors[op.outputs[0]].dtype != np.float32:
        return None
    kernel = (int(op.options["filterHeight"]), int(op.options["filterWidth"]))
    window = window_of(op, graph.tensors[op.inputs[0]].shape[1:3], kernel)
    return window if window.is_padded else None


def _change(editor: GraphEditor, op: Op, window: Window) -> None:
    target = op.outputs[0]
    name, shape = editor.tensor(target).name, editor.tensor(target).shape
    counted = editor.activation_like(target, f"{name}/counted", shape)
    add_average(
        editor,
        op.inputs[0],
        counted,
        kernel=window.kernel,
        strides=window.strides,
        padding=int(op.options["padding"]),
    )
    factors = editor.constant(f"{name}/factors", _factors(editor.tensor(op.inputs[0]).shape, window))
    activation = int(op.options.get("fusedActivationFunction", Activation.NONE))
    editor.add("MUL", (counted, factors), (target,), "MulOptions", {"fusedActivationFunction": activation})


def _factors(shape: tuple[int, ...], window: Window) -> npt.NDArray[np.float32]:
    """Taps of a window over those on the map: shape (1, out H, out W, 1)."""
    held = patches(np.ones((1, *shape[1:3], 1)), window).sum(axis=(3, 4))
    made: npt.NDArray[np.float32] = (window.kernel[0] * window.kernel[1] / held).astype(np.float32)
    return made


REWRITE = Rewrite(
    name="padded_average",
    stage=Stage.FLOAT,
    summary="average pools over padding become a depthwise convolution and a factor for each position",
    apply=lambda graph, choose: padded_average(graph),
    only_int8=True,
)
