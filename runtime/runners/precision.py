"""What number format a foreign file computes in, from the types of its weights and of its activations."""

from __future__ import annotations

import math

from mnist_export.core.graph.onnx_operators import onnx_operator
from mnist_export.core.kinds import Precision
from mnist_export.runtime.foreign.flatbuffer import Reader
from mnist_export.runtime.foreign.onnx_reader import DataType, read_model
from mnist_export.runtime.foreign.tflite_check import stored

# TFLite TensorType numbers
_TFLITE = {0: "float32", 1: "float16", 3: "int8", 7: "int16", 9: "int8", 17: "int8"}
_ONNX: dict[int, str] = {
    DataType.FLOAT: "float32",
    DataType.UINT8: "int8",
    DataType.INT8: "int8",
    DataType.INT16: "int16",
    DataType.FLOAT16: "float16",
}


def precision_of_tflite(data: bytes, *, label: str) -> Precision:
    """Name the precision of a checked .tflite file.

    int8 weights make it int8 where activations are quantized too (int16x8 where those are int16), else
    dynamic; float16 weights make it float16.

    Args:
        data: a file that `check_tflite` has passed.
        label: its name for messages.
    """
    model = Reader(data, label).root()
    buffers = model.tables(4)
    weights: dict[str, int] = {}
    activations: set[str] = set()
    for tensor in model.tables(2)[0].tables(0):
        kind = _TFLITE.get(tensor.integer(1, "b"), "")
        size = len(stored(buffers[tensor.integer(2, "I")], label))
        if size:
            weights[kind] = weights.get(kind, 0) + size
        else:
            activations.add(kind)
    return _decide(weights, integers="int8" in activations, wide="int16" in activations)


def precision_of_onnx(data: bytes, *, label: str) -> Precision:
    """Name the precision of a checked .onnx file; see `precision_of_tflite`.

    Args:
        data: a file that `check_onnx` has passed.
        label: its name for messages.
    """
    graph = read_model(data, label=label).graph
    weights: dict[str, int] = {}
    for tensor in graph.initializers:
        kind = _ONNX.get(tensor.data_type, "")
        weights[kind] = weights.get(kind, 0) + math.prod(tensor.dims)
    integers = any(onnx_operator(node.operator).of_output for node in graph.nodes)
    return _decide(weights, integers=integers, wide="int16" in weights)


def _decide(weights: dict[str, int], *, integers: bool, wide: bool) -> Precision:
    largest = max(weights, key=lambda kind: weights[kind], default="float32")
    if largest == "float16":
        return Precision.FLOAT16
    if largest != "int8":
        return Precision.FLOAT32
    if wide:
        return Precision.INT16X8
    return Precision.INT8 if integers else Precision.DYNAMIC
