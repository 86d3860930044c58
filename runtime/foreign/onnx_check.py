"""Checks an .onnx file in pure Python before ONNX Runtime reads it, and finds its metadata.

Reference: onnx/onnx.proto (field numbers below) and onnx's security notes: external data may name any file,
nested functions and loops have no bound, ConstantOfShape makes gigabytes from a few bytes.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.runtime.foreign.metadata import METADATA_KEY, Metadata
from mnist_export.runtime.foreign.protobuf import Message, parse

MAX_NODES: Final = 10_000
OPSETS: Final = range(7, 27)
_OPERATORS: Final = """
    " Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv
    ConvInteger ConvTranspose Cos CumSum DepthToSpace DequantizeLinear Div Dropout DynamicQuantizeLinear
    Elu Equal Erf Exp Flatten Floor FusedConv FusedMatMul Gather Gelu Gemm GlobalAveragePool
    GlobalMaxPool Greater GreaterOrEqual HardSigmoid HardSwish Identity InstanceNormalization
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul MatMulInteger Max MaxPool Mean
    Min Mish Mul Neg Not Or PRelu Pad Pow QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearConv
    QLinearGlobalAveragePool QLinearLeakyRelu QLinearMatMul QLinearMul QLinearSigmoid QLinearSoftmax
    QuantizeLinear Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape
    Resize Round Selu Shape Sigmoid Sign Sin Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt
    Squeeze Sub Sum Tanh Tile Transpose Unsqueeze Where
"""
ALLOWED_OPERATORS: Final = frozenset(_OPERATORS.split())
MAX_GROWTH: Final = 1 << 16
# Operators that make many values of one: the input that says how many, and its type.
_GROWING: Final = {"Tile": (1, np.int64), "Resize": (2, np.float32)}
_DOMAINS: Final = ("", "ai.onnx", "com.microsoft")

# TensorProto.DataType to bytes an element, for the types that raw_data holds.
_SIZES: Final = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
_FLOATS: Final = {1: np.float32, 10: np.float16, 11: np.float64}


def check_onnx(data: bytes, *, label: str) -> Metadata | None:
    """Refuse an .onnx file that native code should not see.

    Args:
        data: the whole file.
        label: its name for messages.

    Returns:
        Our metadata, or None for a file of others.

    Raises:
        InputError: empty, truncated, not ONNX, weights that are not finite or not of their shape's size.
        UnsupportedError: external data, functions, control flow, operators or opsets that are not known.
    """
    if not data:
        raise InputError(f"{label}: expected an ONNX model, found an empty file.")
    model = parse(data, label)
    graphs = model.messages(7)
    if len(graphs) != 1:
        raise InputError(f"{label}: expected an ONNX model with one graph, found {len(graphs)} graphs.")
    if model.has(25) or model.has(20):
        raise UnsupportedError(f"{label}: holds functions or training information, which are not run here.")
    _check_opsets(model, label)
    graph = graphs[0]
    if graph.has(15):
        raise UnsupportedError(f"{label}: holds sparse weights, which are not read here. Make them dense.")
    for tensor in graph.messages(5):
        _check_tensor(tensor, label)
    nodes = graph.blobs(1)
    if not 0 < len(nodes) <= MAX_NODES:
        raise InputError(f"{label}: expected 1 to {MAX_NODES} nodes, found {len(nodes)}.")
    constants = {tensor.string(8): tensor for tensor in graph.messages(5)}
    for node in nodes:
        _check_node(Message(node, label), label)
        _check_growth(Message(node, label), constants, label)
    for entry in model.messages(14):
        if entry.string(1) == METADATA_KEY:
            return Metadata.parse(b"".join(map(bytes, entry.blobs(2)[-1:])), label=label)
    return None


def _check_opsets(model: Message, label: str) -> None:
    opsets = {entry.string(1): entry.integer(2) for entry in model.messages(8)}
    for domain, version in opsets.items():
        if domain in ("", "ai.onnx") and version not in OPSETS:
            raise UnsupportedError(
                f"{label}: expected an opset from {OPSETS.start} to {OPSETS.stop - 1}, found {version}."
            )
    if not opsets:
        raise InputError(f"{label}: expected an ONNX model with an opset, found none.")


def _check_node(node: Message, label: str) -> None:
    kind, domain = node.string(4), node.string(7)
    if domain not in _DOMAINS or kind not in ALLOWED_OPERATORS:
        name = f"{domain}.{kind}" if domain else kind
        raise UnsupportedError(
            f"{label}: the operator '{name}' is not one that a classifier needs, so it is not run here."
        )
    for attribute in node.messages(5):
        if attribute.has(6) or attribute.has(11):
            raise UnsupportedError(f"{label}: the operator '{kind}' holds a graph, which is not run here.")
        for tensor in (*attribute.messages(5), *attribute.messages(10)):
            _check_tensor(tensor, label)
    if kind in ("DepthToSpace", "SpaceToDepth"):
        sizes = [a.integer(3) for a in node.messages(5) if a.string(1) == "blocksize"]
        if any(not 1 <= size <= 64 for size in sizes):  # 0 divides by zero in native code
            raise InputError(f"{label}: '{kind}' has the block size {sizes}. The file is damaged.")


def _check_growth(node: Message, constants: dict[str, Message], label: str) -> None:
    """Refuse a Tile or Resize that makes more values of one than a constant of the file bounds."""
    kind = node.string(4)
    if kind not in _GROWING:
        return
    place, dtype = _GROWING[kind]
    inputs = [bytes(name).decode("utf-8", "replace") for name in node.blobs(1)]
    tensor = constants.get(inputs[place]) if place < len(inputs) else None
    raw = b"".join(map(bytes, tensor.blobs(9))) if tensor is not None else b""
    if not raw or len(raw) % np.dtype(dtype).itemsize or len(raw) > 64:
        raise UnsupportedError(
            f"{label}: the operator '{kind}' makes as many values as are computed at run time, so it is not "
            "run here. Make its numbers constants of the file."
        )
    growth = float(np.prod(np.frombuffer(raw, dtype), dtype=np.float64))
    if not 0 < growth <= MAX_GROWTH:
        raise InputError(
            f"{label}: the operator '{kind}' makes {growth:g} values of one, expected at most {MAX_GROWTH}."
        )


def _check_tensor(tensor: Message, label: str) -> None:
    name, shape, kind = tensor.string(8), tensor.integers(1), tensor.integer(2)
    if tensor.has(13) or tensor.integer(14):
        raise UnsupportedError(
            f"{label}: the weights '{name}' lie in another file (external data), which is not read. "
            "Save the model as one file."
        )
    if any(size < 0 for size in shape):
        raise InputError(f"{label}: the weights '{name}' have the shape {tuple(shape)}. The file is damaged.")
    raw = b"".join(map(bytes, tensor.blobs(9)))
    if tensor.has(9) and kind in _SIZES and len(raw) != math.prod(shape) * _SIZES[kind]:
        raise InputError(
            f"{label}: the weights '{name}' of shape {tuple(shape)} take "
            f"{math.prod(shape) * _SIZES[kind]} bytes, found {len(raw)}. The file is damaged."
        )
    values = np.frombuffer(raw, _FLOATS[kind]) if raw and kind in _FLOATS else np.zeros(0)
    packed = b"".join(map(bytes, tensor.blobs(4))) if kind == 1 and not raw else b""
    if len(packed) % 4 == 0 and packed:
        values = np.frombuffer(packed, np.float32)
    if not np.all(np.isfinite(values)):
        raise InputError(
            f"{label}: the weights '{name}' hold values that are not finite. Export the model again."
        )
