"""Reads a written file back and says what is in it; an "int8" file with float weights fails.

The audit looks at the bytes, not at the graph that they were written from.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph
from mnist_export.core.graph.onnx_operators import onnx_operator
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.kinds import Format, Precision


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """What a written file holds.

    Attributes:
        operators: operator name to how often it occurs.
        weight_bytes: number type to bytes of constants of that type; scales and shapes left out.
        float_layers: names of operators that compute in float although the file is said to be integer.
        io_types: types of the file's input and output.
    """

    operators: dict[str, int]
    weight_bytes: dict[str, int]
    float_layers: tuple[str, ...]
    io_types: tuple[str, str]


def audit(content: bytes, fmt: Format, precision: Precision, *, keep_float: bool = False) -> AuditResult:
    """Audit one written file.

    Args:
        content: the file's bytes.
        fmt: tflite or onnx.
        precision: what the file claims to be.
        keep_float: layers were left in float on request.

    Returns:
        What was found.

    Raises:
        ConversionError: an integer file computes in float, or holds float weights, unasked.
    """
    result = _audit_tflite(content) if fmt == Format.TFLITE else _audit_onnx(content)
    integer = precision in {Precision.INT8, Precision.INT16X8}
    floats = result.weight_bytes.get("float32", 0) + result.weight_bytes.get("float16", 0)
    if integer and not keep_float and (floats or result.float_layers):
        raise ConversionError(
            f"{fmt} {precision}: expected integers only, found {floats} bytes of float weights and float "
            f"operators at {', '.join(result.float_layers) or 'no layer'}. The file was not written; use "
            "`keep_float` to leave layers in float on purpose."
        )
    return result


def _audit_tflite(content: bytes) -> AuditResult:
    graph = read_tflite(content)
    constants = {i for op in graph.ops for i in op.inputs if i >= 0 and graph.tensors[i].is_constant}
    weights = Counter[str]()
    for index in constants:
        data = graph.tensors[index].data
        if data is not None and not _is_shape(graph, index):
            weights[str(data.dtype)] += data.nbytes
    floats = tuple(
        graph.tensors[op.outputs[0]].name
        for op in graph.ops
        if family(op.kind) != Family.BOUNDARY and graph.tensors[op.outputs[0]].dtype == np.float32
    )
    return AuditResult(
        operators=dict(sorted(Counter(op.kind for op in graph.ops).items())),
        weight_bytes=dict(sorted(weights.items())),
        float_layers=floats,
        io_types=(str(graph.tensors[graph.inputs[0]].dtype), str(graph.tensors[graph.outputs[0]].dtype)),
    )


def _is_shape(graph: Graph, index: int) -> bool:
    tensor = graph.tensors[index]
    return tensor.quant is None and tensor.dtype in {np.dtype(np.int32), np.dtype(np.int64)}


def _audit_onnx(content: bytes) -> AuditResult:
    import onnx
    from onnx import helper, numpy_helper

    graph = onnx.load_from_string(content).graph
    constants = {c.name: c for c in graph.initializer}
    weights = Counter[str]()
    stored_as: dict[str, str] = {}
    dequantized: set[str] = set()
    floats: list[str] = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear":
            dequantized.update(node.output)
        for position, name in enumerate(node.input):
            if name not in constants or position in onnx_operator(node.op_type).parameters:
                continue
            if (node.op_type in {"Reshape", "Pad"} and position == 1) or (
                node.op_type == "Resize" and position > 0
            ):
                continue
            stored_as[name] = str(helper.tensor_dtype_to_np_dtype(constants[name].data_type))
    for name, dtype in stored_as.items():
        if constants[name].dims:  # zero points of activations are scalars
            weights[dtype] += numpy_helper.to_array(constants[name]).nbytes
    # An operator computes on integers where everything it reads was dequantized just before it.
    integer_inputs = dequantized | {n.output[0] for n in graph.node if _follows(n, dequantized)}
    codes = _codes(graph)
    for node in graph.node:
        if node.output[0] in codes:
            continue
        if node.op_type in {"Conv", "Gemm", "Add", "Mul"} and not set(node.input) <= integer_inputs | {""}:
            floats.append(node.name)
    first, last = (
        str(helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type))
        for v in (graph.input[0], graph.output[0])
    )
    return AuditResult(
        operators=dict(sorted(Counter(n.op_type for n in graph.node).items())),
        weight_bytes=dict(sorted(weights.items())),
        float_layers=tuple(floats),
        io_types=(first, last),
    )


def _codes(graph: object) -> set[str]:
    """Values that are codes, or sums of codes and constants, whatever type they are held in."""
    from onnx import TensorProto

    constants = {c.name for c in graph.initializer} | {""}  # type: ignore[attr-defined]
    floats = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}
    entries = graph.input  # type: ignore[attr-defined]
    found = {v.name for v in entries if v.type.tensor_type.elem_type not in floats}
    for node in graph.node:  # type: ignore[attr-defined]
        read = set(node.input) - constants
        if node.op_type == "QuantizeLinear" or (
            node.op_type != "DequantizeLinear" and read and read <= found
        ):
            found.update(node.output)
    return found


def _follows(node: object, dequantized: set[str]) -> bool:
    return node.op_type == "Relu" and set(node.input) <= dequantized  # type: ignore[attr-defined]
