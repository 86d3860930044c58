"""Scales and zero points of an .onnx file's integer input and output, read from its nodes."""

from __future__ import annotations

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.graph.onnx_operators import onnx_operator
from mnist_export.runtime.foreign.onnx_reader import DataType, Node, Tensor, read_model


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
    start = name
    for _ in range(len(nodes)):
        node = next((n for n in nodes if name in (n.inputs[:1] if forward else n.outputs)), None)
        if node is None:
            return
        kind, inputs = node.operator, node.inputs
        known = onnx_operator(kind)
        places = known.of_input if forward else known.of_output
        if places is not None:
            params = quant_params([inputs[i] if i < len(inputs) else "" for i in places], constants)
            if params is not None:
                found[start] = params
            return
        if not known.copies or kind == "Concat" or not inputs:  # what is joined may have several scales
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
