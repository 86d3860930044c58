"""What the passes of the exact scheme share: the AFFINE step, refusals, and steps folded into weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operators import operator

AFFINE: Final = "AFFINE"
EXACT_ACTIVATIONS: Final = frozenset({Activation.RELU, Activation.RELU6})
"""Fused activations that every kernel computes in the same way."""


def activation_of(op: Op) -> Activation:
    """The operator's fused activation."""
    return Activation(op.options.get("fusedActivationFunction", 0))


def refusal(graph: Graph, op: Op, what: str) -> UnsupportedError:
    """The error for a layer that has no exact form."""
    name = graph.tensors[op.outputs[0]].name
    return UnsupportedError(
        f"exact int8: layer '{name}' is {what}, on which kernels round differently. Replace the layer, or "
        "leave `exact` out for ordinary int8."
    )


def scale_outputs(editor: GraphEditor, op: Op, gain: npt.NDArray[Any], shift: npt.NDArray[Any]) -> None:
    """Fold ``gain * y + shift`` of a layer's own output into its weights."""
    weights, bias = _weights(editor, op)
    axis = operator(op.kind).weight_axis or 0
    shape = [1] * weights.ndim
    shape[axis] = -1
    _set_weights(editor, op, weights * gain.reshape(shape), bias * gain + shift)


def scale_inputs(editor: GraphEditor, op: Op, gain: npt.NDArray[Any], shift: npt.NDArray[Any]) -> None:
    """Fold ``gain * x + shift`` of a layer's input into its weights and bias."""
    weights, bias = _weights(editor, op)
    if op.kind == "DEPTHWISE_CONV_2D":
        repeat = weights.shape[3] // gain.size
        wide, offset = np.repeat(gain, repeat), np.repeat(shift, repeat)
        _set_weights(editor, op, weights * wide, bias + weights.sum(axis=(0, 1, 2)) * offset)
        return
    repeat = weights.shape[-1] // gain.size
    wide, offset = np.tile(gain, repeat), np.tile(shift, repeat)
    others = tuple(range(1, weights.ndim))
    _set_weights(editor, op, weights * wide, bias + (weights * offset).sum(axis=others))


def _weights(editor: GraphEditor, op: Op) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weights and bias of a layer in real units; zeros where it has no bias."""
    weights = editor.tensor(op.inputs[1]).real().astype(np.float64)
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        return weights, editor.tensor(op.inputs[2]).real().astype(np.float64)
    return weights, np.zeros(weights.shape[operator(op.kind).weight_axis or 0])


def _set_weights(
    editor: GraphEditor, op: Op, weights: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]
) -> None:
    """Give a layer weights and a bias of its own, float32."""
    name = editor.tensor(op.outputs[0]).name
    kernel = editor.constant(f"{name}/kernel", weights.astype(np.float32))
    shift = editor.constant(f"{name}/bias", bias.astype(np.float32))
    editor.exchange(op, replace(op, inputs=(op.inputs[0], kernel, shift)))
