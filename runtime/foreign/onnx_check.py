"""Checks an .onnx file in pure Python before ONNX Runtime reads it, and finds its metadata.

Reference: onnx's security notes: external data may name any file,
nested functions and loops have no bound, ConstantOfShape makes gigabytes from a few bytes.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.runtime.foreign.metadata import METADATA_KEY, Metadata
from mnist_export.runtime.foreign.onnx_reader import DataType, Model, Node, Tensor, read_model

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
    model = read_model(data, label=label)
    graph = model.graph
    if model.has_functions or model.has_training:
        raise UnsupportedError(f"{label}: holds functions or training information, which are not run here.")
    _check_opsets(model, label)
    if graph.has_sparse_initializers:
        raise UnsupportedError(f"{label}: holds sparse weights, which are not read here. Make them dense.")
    for tensor in graph.initializers:
        _check_tensor(tensor, label)
    if not 0 < graph.node_count <= MAX_NODES:
        raise InputError(f"{label}: expected 1 to {MAX_NODES} nodes, found {graph.node_count}.")
    constants = {tensor.name: tensor for tensor in graph.initializers}
    for node in graph.nodes:
        _check_node(node, label)
        _check_growth(node, constants, label)
    for entry in model.metadata:
        if entry.key == METADATA_KEY:
            return Metadata.parse(entry.value(), label=label)
    return None


def _check_opsets(model: Model, label: str) -> None:
    opsets = {entry.domain: entry.version for entry in model.opsets}
    for domain, version in opsets.items():
        if domain in ("", "ai.onnx") and version not in OPSETS:
            raise UnsupportedError(
                f"{label}: expected an opset from {OPSETS.start} to {OPSETS.stop - 1}, found {version}."
            )
    if not opsets:
        raise InputError(f"{label}: expected an ONNX model with an opset, found none.")


def _check_node(node: Node, label: str) -> None:
    kind, domain = node.operator, node.domain
    if domain not in _DOMAINS or kind not in ALLOWED_OPERATORS:
        name = f"{domain}.{kind}" if domain else kind
        raise UnsupportedError(
            f"{label}: the operator '{name}' is not one that a classifier needs, so it is not run here."
        )
    for attribute in node.attributes:
        if attribute.has_graph or attribute.has_graphs:
            raise UnsupportedError(f"{label}: the operator '{kind}' holds a graph, which is not run here.")
        for tensor in (*attribute.tensor, *attribute.tensors):
            _check_tensor(tensor, label)
    if kind in ("DepthToSpace", "SpaceToDepth"):
        sizes = [a.integer for a in node.attributes if a.name == "blocksize"]
        if any(not 1 <= size <= 64 for size in sizes):  # 0 divides by zero in native code
            raise InputError(f"{label}: '{kind}' has the block size {sizes}. The file is damaged.")


def _check_growth(node: Node, constants: dict[str, Tensor], label: str) -> None:
    """Refuse a Tile or Resize that makes more values of one than a constant of the file bounds."""
    kind = node.operator
    if kind not in _GROWING:
        return
    place, dtype = _GROWING[kind]
    tensor = constants.get(node.inputs[place]) if place < len(node.inputs) else None
    raw = tensor.raw_data() if tensor is not None else b""
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


def _check_tensor(tensor: Tensor, label: str) -> None:
    name, shape = tensor.name, tensor.dims
    if tensor.has_external_data or tensor.data_location:
        raise UnsupportedError(
            f"{label}: the weights '{name}' lie in another file (external data), which is not read. "
            "Save the model as one file."
        )
    if any(size < 0 for size in shape):
        raise InputError(f"{label}: the weights '{name}' have the shape {tuple(shape)}. The file is damaged.")
    raw, dtype = tensor.raw_data(), tensor.dtype
    size = 2 if tensor.data_type == DataType.BFLOAT16 else dtype.itemsize if dtype is not None else 0
    if tensor.has_raw_data and size and len(raw) != math.prod(shape) * size:
        raise InputError(
            f"{label}: the weights '{name}' of shape {tuple(shape)} take "
            f"{math.prod(shape) * size} bytes, found {len(raw)}. The file is damaged."
        )
    if not raw and tensor.data_type == DataType.FLOAT:
        raw = tensor.float_data()
    if dtype is None or dtype.kind != "f" or len(raw) % dtype.itemsize:
        return
    if not np.all(np.isfinite(np.frombuffer(raw, dtype))):
        raise InputError(
            f"{label}: the weights '{name}' hold values that are not finite. Export the model again."
        )
