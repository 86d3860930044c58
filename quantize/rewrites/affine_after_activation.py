"""Folds an affine map by channel that follows an activation (a BatchNormalization) into the layer before.

With ``r = clip(x, a, b)`` and a map ``y = g * r + s``:  ``y = clip(g * x + s, g * a + s, g * b + s)`` for
``g >= 0``, and with the bounds exchanged for ``g < 0``. The map on ``x`` is the layer's own weights and bias;
the clip is one MAXIMUM (and MINIMUM, where there is an upper bound) with a constant a channel. Quantized,
that is a comparison of integers, where MUL and ADD round twice.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operators import operator
from mnist_export.quantize.network.operators import WEIGHTED
from mnist_export.quantize.rewrites.chains import Affine, activation_of, affine_after
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage

_BOUNDS = {
    Activation.NONE: (-np.inf, np.inf),
    Activation.RELU: (0.0, np.inf),
    Activation.RELU6: (0.0, 6.0),
    Activation.RELU_N1_TO_1: (-1.0, 1.0),
}


def affine_after_activation(graph: Graph) -> Graph:
    """Fold every affine map behind a convolution or dense layer into it.

    Returns:
        The graph with the same float function; the same object where there is no such map.
    """
    found = {}
    for op in graph.ops:
        if op.kind in WEIGHTED and _is_float_constant(graph, op):
            affine = affine_after(graph, op)
            if affine is not None:
                found[op] = affine
    if not found:
        return graph
    gone = {op for affine in found.values() for op in affine.ops}
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op in found:
            _fold(editor, found[op])
        elif op not in gone:
            editor.keep(op)
    return editor.finish()


def _is_float_constant(graph: Graph, op: Op) -> bool:
    parts = [graph.tensors[i] for i in op.inputs[1:] if i >= 0]
    return bool(parts) and all(t.data is not None and t.dtype == np.float32 for t in parts)


def _fold(editor: GraphEditor, affine: Affine) -> None:
    layer, graph = affine.layer, editor.graph
    channel_axis = operator(layer.kind).weight_axis or 0
    weights = graph.tensors[layer.inputs[1]]
    inner = graph.tensors[layer.outputs[0]]
    outer = graph.tensors[affine.output]
    shape = [1] * weights.real().ndim
    shape[channel_axis] = -1
    kernel = (weights.real().astype(np.float64) * affine.scale.reshape(shape)).astype(np.float32)
    has_bias = len(layer.inputs) > 2 and layer.inputs[2] >= 0
    old = (
        graph.tensors[layer.inputs[2]].real().astype(np.float64) if has_bias else np.zeros(affine.scale.shape)
    )
    bias = (old * affine.scale + affine.shift).astype(np.float32)
    stem = inner.name
    bias_name = graph.tensors[layer.inputs[2]].name if has_bias else f"{stem}/bias"
    inputs = (layer.inputs[0], editor.constant(weights.name, kernel), editor.constant(bias_name, bias))
    lower, upper = _BOUNDS[activation_of(layer)]
    with np.errstate(invalid="ignore"):
        ends = np.stack([_end(affine, lower), _end(affine, upper)])
    low, high = ends.min(axis=0), ends.max(axis=0)
    fused, low, high = _fusable(low, high)
    steps = [
        (kind, bound)
        for kind, bound in (("MAXIMUM", low), ("MINIMUM", high))
        if bound is not None and np.isfinite(bound).any()
    ]
    made = affine.output if not steps else editor.add_tensor(replace(inner, name=f"{stem}/affine"))
    options = dict(layer.options) | {"fusedActivationFunction": int(fused)}
    editor.add(layer.kind, inputs, (made,), layer.options_type, options)
    for number, (kind, bound) in enumerate(steps):
        last = number == len(steps) - 1
        target = affine.output if last else editor.add_tensor(replace(inner, name=f"{stem}/lower"))
        limits = _finite(bound, kind)
        shaped = limits.reshape((1,) * (len(outer.shape) - 1) + limits.shape)
        constant = editor.constant(f"{outer.name}/{kind.lower()}", shaped)
        editor.add(kind, (made, constant), (target,), "MaximumMinimumOptions", {})
        made = target


def _end(affine: Affine, bound: float) -> npt.NDArray[np.float64]:
    """Where the map sends one end of the activation's range; a channel of scale 0 has no open end."""
    if np.isinf(bound):
        return np.where(affine.scale == 0, affine.shift, np.sign(affine.scale) * bound)
    return affine.scale * bound + affine.shift


def _fusable(
    low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> tuple[Activation, npt.NDArray[np.float64] | None, npt.NDArray[np.float64] | None]:
    """Use the operator's own activation where the bounds happen to be its own."""
    if np.all(low == 0):
        return Activation.RELU, None, high
    return Activation.NONE, low, high


def _finite(bound: npt.NDArray[np.float64], kind: str) -> npt.NDArray[np.float32]:
    """Open ends as float32's extremes, which every code's range saturates."""
    limit = np.finfo(np.float32).max
    return np.clip(bound, -limit, limit).astype(np.float32)


REWRITE = Rewrite(
    name="affine_after_activation",
    stage=Stage.FLOAT,
    summary="BatchNormalization behind an activation folds into the layer before; its shift becomes a clip",
    apply=lambda graph, choose: affine_after_activation(graph),
)
