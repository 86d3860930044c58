"""Scales and zero points of an .onnx file's integer input and output, read from its nodes."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.runtime.foreign.protobuf import Message, parse

# Operators that move values without computing, so that quantization passes through them.
_TRANSPARENT: Final = {"Reshape", "Flatten", "Transpose", "Identity", "Squeeze", "Unsqueeze", "MaxPool"}
# Operator to the places of (scale, zero point) among its inputs, of its first input and of its output.
_OF_INPUT: Final = {"DequantizeLinear": (1, 2), "QLinearConv": (1, 2), "QLinearMatMul": (1, 2),
                    "QGemm": (1, 2), "QLinearAdd": (1, 2)}  # fmt: skip
_OF_OUTPUT: Final = {"QuantizeLinear": (1, 2), "QLinearConv": (6, 7), "QLinearMatMul": (6, 7),
                     "QGemm": (7, 8), "QLinearAdd": (6, 7)}  # fmt: skip
_ZERO_POINTS: Final = {2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32}


def io_quantization(content: bytes, *, label: str) -> dict[str, QuantParams]:
    """Find the parameters of the graph's integer input and output.

    Args:
        content: a file that `check_onnx` has passed.
        label: its name for messages.

    Returns:
        Parameters by tensor name; a tensor that no quantizing operator touches is absent.
    """
    graph = parse(content, label).messages(7)[0]
    constants, nodes = constants_of(graph), graph.messages(1)
    found: dict[str, QuantParams] = {}
    for value in graph.messages(11):
        name = value.string(1)
        if name not in constants:
            _follow(name, nodes, constants, found, forward=True)
    for value in graph.messages(12):
        _follow(value.string(1), nodes, constants, found, forward=False)
    return found


def constants_of(graph: Message) -> dict[str, Message]:
    """Constant tensors by name: initializers, and what Constant nodes hold."""
    constants = {tensor.string(8): tensor for tensor in graph.messages(5)}
    for node in graph.messages(1):
        if node.string(4) == "Constant":
            for attribute in node.messages(5):
                for tensor in attribute.messages(5):
                    constants[node.string(2)] = tensor
    return constants


def _follow(
    name: str,
    nodes: list[Message],
    constants: dict[str, Message],
    found: dict[str, QuantParams],
    *,
    forward: bool,
) -> None:
    start, places = name, _OF_INPUT if forward else _OF_OUTPUT
    for _ in range(len(nodes)):
        node = next((n for n in nodes if name in (n.strings(1)[:1] if forward else n.strings(2))), None)
        if node is None:
            return
        kind, inputs = node.string(4), node.strings(1)
        if kind in places:
            params = quant_params([inputs[i] if i < len(inputs) else "" for i in places[kind]], constants)
            if params is not None:
                found[start] = params
            return
        if kind not in _TRANSPARENT or not inputs:
            return
        name = node.strings(2)[0] if forward else inputs[0]


def quant_params(names: list[str], constants: dict[str, Message]) -> QuantParams | None:
    """Build per-tensor parameters from the names of a scale and a zero point.

    Args:
        names: scale and zero point; the latter may be empty.
        constants: from `constants_of`.

    Returns:
        The parameters, or None where they are not constants of one value.
    """
    if names[0] not in constants:
        return None
    scale = _floats(constants[names[0]])
    point = _integers(constants[names[1]]) if names[1] in constants else np.zeros(scale.shape, np.int64)
    if scale.size != 1 or point.size != 1:
        return None
    return QuantParams(scale=scale.reshape(1), zero_point=point.reshape(1))


def _floats(tensor: Message) -> npt.NDArray[np.float32]:
    raw = b"".join(map(bytes, (*tensor.blobs(9), *([] if tensor.has(9) else tensor.blobs(4)))))
    if len(raw) % 4:
        raise InputError(f"{tensor.label}: a scale is not float32. The file is damaged.")
    return np.frombuffer(raw, np.float32)


def _integers(tensor: Message) -> npt.NDArray[np.int64]:
    raw = b"".join(map(bytes, tensor.blobs(9)))
    if raw:
        return np.frombuffer(raw, _ZERO_POINTS.get(tensor.integer(2), np.int32)).astype(np.int64)
    return np.array(tensor.integers(5) or [0], np.int64)
