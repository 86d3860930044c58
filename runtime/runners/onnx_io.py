"""Scales and zero points of an .onnx file's integer input and output, read from its nodes."""

from __future__ import annotations

from typing import Final

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.runtime.foreign.onnx_reader import DataType, Node, Tensor, read_model

# Operators that move values without computing, so that quantization passes through them.
_TRANSPARENT: Final = {"Reshape", "Flatten", "Transpose", "Identity", "Squeeze", "Unsqueeze", "MaxPool"}
# Operator to the places of (scale, zero point) among its inputs, of its first input and of its output.
_OF_INPUT: Final = {"DequantizeLinear": (1, 2), "QLinearConv": (1, 2), "QLinearMatMul": (1, 2),
                    "QGemm": (1, 2), "QLinearAdd": (1, 2)}  # fmt: skip
_OF_OUTPUT: Final = {"QuantizeLinear": (1, 2), "QLinearConv": (6, 7), "QLinearMatMul": (6, 7),
                     "QGemm": (7, 8), "QLinearAdd": (6, 7)}  # fmt: skip


def io_quantization(content: bytes, *, label: str) -> dict[str, QuantParams]:
    """Find the parameters of the graph's integer input and output.

    Args:
        content: a file that `check_onnx` has passed.
        label: its name for messages.

    Returns:
        Parameters by tensor name; a tensor that no quantizing operator touches is absent.
    """
    graph = read_model(content, label=label).graph
    constants, nodes = graph.constants(), graph.nodes
    found: dict[str, QuantParams] = {}
    for value in graph.inputs:
        if value.name not in constants:
            _follow(value.name, nodes, constants, found, forward=True)
    for value in graph.outputs:
        _follow(value.name, nodes, constants, found, forward=False)
    return found


def _follow(
    name: str,
    nodes: list[Node],
    constants: dict[str, Tensor],
    found: dict[str, QuantParams],
    *,
    forward: bool,
) -> None:
    start, places = name, _OF_INPUT if forward else _OF_OUTPUT
    for _ in range(len(nodes)):
        node = next((n for n in nodes if name in (n.inputs[:1] if forward else n.outputs)), None)
        if node is None:
            return
        kind, inputs = node.operator, node.inputs
        if kind in places:
            params = quant_params([inputs[i] if i < len(inputs) else "" for i in places[kind]], constants)
            if params is not None:
                found[start] = params
            return
        if kind not in _TRANSPARENT or not inputs:
            return
        name = node.outputs[0] if forward else inputs[0]


def quant_params(names: list[str], constants: dict[str, Tensor]) -> QuantParams | None:
    """Build per-tensor parameters from the names of a scale and a zero point.

    Args:
        names: scale and zero point; the latter may be empty.
        constants: from `Graph.constants`.

    Returns:
        The parameters, or None where they are not constants of one value.
    """
    if names[0] not in constants:
        return None
    stored = constants[names[0]]
    if stored.data_type != DataType.FLOAT:
        raise InputError(f"{stored.label}: a scale is not float32. The file is damaged.")
    scale = stored.array()
    point = constants[names[1]].array() if names[1] in constants else np.zeros(scale.shape, np.int64)
    if scale.size != 1 or point.size != 1:
        return None
    return QuantParams(scale=scale.reshape(1), zero_point=point.astype(np.int64).reshape(1))
