"""Replaces activations that have no integer form, or one that runtimes round apart, with operators that do.

``hard_swish(x) = x * relu6(x + 3) / 6``. ``leaky_relu(x)`` and ``prelu(x)`` are the larger of ``x`` and
``a * x`` where no ``a`` is above 1, and the smaller where none is below: LiteRT multiplies there by a
factor of few bits, ONNX Runtime in float; a comparison of codes and a convolution are the same in both.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.quantize.network.functions import left_alone
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage

_SLOPED = {"LEAKY_RELU", "PRELU"}


def activations_as_maps(graph: Graph) -> Graph:
    """Turn each HARD_SWISH, LEAKY_RELU, PRELU and NEG into MUL, ADD, MAXIMUM or MINIMUM.

    Args:
        graph: of float32.

    Returns:
        The graph with the same float function; the same object where there is none of them. A PRELU with
        slopes on both sides of 1 stays.
    """
    left = left_alone(graph)
    if not any(_can_change(graph, op) and op not in left for op in graph.ops):
        return graph
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op in left or not _can_change(graph, op):
            editor.keep(op)
        elif op.kind == "HARD_SWISH":
            _hard_swish(editor, op)
        elif op.kind == "NEG":
            name = editor.tensor(op.outputs[0]).name
            minus = editor.constant(f"{name}/minus", np.array([-1.0], np.float32))
            editor.add("MUL", (op.inputs[0], minus), op.outputs, "MulOptions", _fused(Activation.NONE))
        else:
            _sloped(editor, op)
    return editor.finish()


def _can_change(graph: Graph, op: Op) -> bool:
    if graph.tensors[op.outputs[0]].dtype != np.float32:
        return False
    if op.kind in {"HARD_SWISH", "NEG"}:
        return True
    return op.kind in _SLOPED and _comparison(_slopes(graph, op)) != ""


def _slopes(graph: Graph, op: Op) -> npt.NDArray[np.float32]:
    if op.kind == "LEAKY_RELU":
        return np.array([op.options["alpha"]], np.float32)
    constant = graph.tensors[op.inputs[1]]
    return constant.real() if constant.is_constant else np.array([np.nan], np.float32)


def _comparison(slopes: npt.NDArray[np.float32]) -> str:
    if np.all(slopes <= 1):
        return "MAXIMUM"
    return "MINIMUM" if np.all(slopes >= 1) else ""


def _hard_swish(editor: GraphEditor, op: Op) -> None:
    source, target = op.inputs[0], op.outputs[0]
    name, shape = editor.tensor(target).name, editor.tensor(target).shape
    shifted = editor.activation_like(target, f"{name}/shifted", shape)
    gate = editor.activation_like(target, f"{name}/gate", shape)
    three = editor.constant(f"{name}/three", np.array([3.0], np.float32))
    sixth = editor.constant(f"{name}/sixth", np.array([1 / 6], np.float32))
    editor.add("ADD", (source, three), (shifted,), "AddOptions", _fused(Activation.RELU6))
    editor.add("MUL", (shifted, sixth), (gate,), "MulOptions", _fused(Activation.NONE))
    editor.add("MUL", (source, gate), (target,), "MulOptions", _fused(Activation.NONE))


def _sloped(editor: GraphEditor, op: Op) -> None:
    source, target = op.inputs[0], op.outputs[0]
    name, shape = editor.tensor(target).name, editor.tensor(target).shape
    slopes = _slopes(editor.graph, op)
    if slopes.size == 1 or slopes.shape[-1] == slopes.size:
        slopes = slopes.ravel()  # one number, or one a channel, whatever its rank
    sloped = editor.activation_like(target, f"{name}/sloped", shape)
    constant = editor.constant(f"{name}/slopes", slopes)
    editor.add("MUL", (source, constant), (sloped,), "MulOptions", _fused(Activation.NONE))
    editor.add(_comparison(slopes), (source, sloped), (target,), "MaximumMinimumOptions", {})


def _fused(activation: Activation) -> dict[str, int]:
    return {"fusedActivationFunction": int(activation)}


REWRITE = Rewrite(
    name="activations_as_maps",
    stage=Stage.FLOAT,
    summary="hard swish, leaky ReLU and PReLU become products and comparisons, "
    "rounded in the same way everywhere",
    apply=lambda graph, choose: activations_as_maps(graph),
    only_int8=True,
)
