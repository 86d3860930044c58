"""Gives the activations of an int8 graph other scales, and its biases and constants with them.

Networks trained in int8 come with the scales that TensorFlow's converter chose. Zero points stay and scales
grow by a little, so that every range holds what it held; weights keep their integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operators import operator
from mnist_export.quantize.network.operators import same_scale_groups
from mnist_export.quantize.scales.without_ties import params_without_ties

_SAME = 1e-6
"""Scales that are this near one another, relatively, differ by float32's rounding alone."""


def without_ties(graph: Graph) -> Graph:
    """Widen the scales of an int8 graph wherever two tensors are added, subtracted or multiplied.

    Args:
        graph: of int8, such as TensorFlow's converter makes after quantization-aware training.

    Returns:
        The same operators with scales under which every runtime rounds the results in the same way; the same
        object where all have such scales.
    """
    params = {
        index: quant
        for index in graph.activations()
        if graph.tensors[index].dtype == np.int8 and (quant := graph.tensors[index].quant) is not None
    }
    made = params_without_ties(graph, params, same_scale_groups(graph, np.int8))
    if all(np.isclose(made[i].scale[0], quant.scale[0], rtol=_SAME) for i, quant in params.items()):
        return graph
    return rescaled(graph, made)


def rescaled(graph: Graph, params: Mapping[int, QuantParams]) -> Graph:
    """The same network with other parameters of its activations.

    Args:
        graph: of int8.
        params: of every int8 activation, and of constants that get new ones, by tensor index.

    Returns:
        A graph of the same operators and weights; biases have the steps of their layer's sums, and constants
        the codes of their values.
    """
    editor = GraphEditor(graph)
    for index, quant in params.items():
        tensor = graph.tensors[index]
        if tensor.data is None:
            editor.set_tensor(index, replace(tensor, quant=quant))
    for op in graph.ops:
        inputs = tuple(_operand(editor, op, position, params) for position in range(len(op.inputs)))
        editor.keep(replace(op, inputs=inputs))
    return editor.finish()


def _operand(editor: GraphEditor, op: Op, position: int, params: Mapping[int, QuantParams]) -> int:
    """An operator's input in its new parameters: an own copy of a constant whose codes change."""
    index = op.inputs[position]
    tensor = editor.graph.tensors[index] if index >= 0 else None
    known = operator(op.kind)
    if tensor is None or tensor.data is None or tensor.quant is None or not known.integers:
        return index
    quant = params.get(index, tensor.quant)
    if known.weight_axis is not None:
        entry = params.get(op.inputs[0])
        if position != 2 or entry is None:
            return index
        weights = editor.graph.tensors[op.inputs[1]].quant
        scale = entry.scale[0] * (tensor.quant.scale if weights is None else weights.scale)
        quant = replace(tensor.quant, scale=scale.astype(np.float32))
    elif known.same_scale and op.outputs[0] in params:
        quant = params[op.outputs[0]]
    if np.array_equal(quant.scale, tensor.quant.scale):
        return index
    return editor.constant(tensor.name, quant.quantize(_real(tensor.data, tensor.quant), tensor.dtype), quant)


def _real(data: npt.NDArray[Any], quant: QuantParams) -> npt.NDArray[np.float64]:
    """A constant's value in float64: float32 would lose the last bits of a bias."""
    real: npt.NDArray[np.float64] = quant.scale.astype(np.float64) * (data - quant.zero_point)
    return real
