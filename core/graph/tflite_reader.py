"""Reads the bytes of a .tflite file into a `Graph`, checking every index on the way."""

from __future__ import annotations

import struct
from types import MappingProxyType
from typing import Any

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.graph import schema
from mnist_export.core.graph.ir import Graph, Op, Tensor

MAX_OPERATORS = 20_000
_PARSE_ERRORS = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, MemoryError)


def _bad(where: str, expected: str, found: str) -> InputError:
    return InputError(
        f"{where}: expected {expected}, found {found}. The file is damaged or not a TFLite model; "
        "export it again."
    )


def parse_model(content: bytes, where: str) -> Any:
    """Unpack a .tflite file's flatbuffer into the schema's ``ModelT`` object.

    Args:
        content: the whole file.
        where: how to call the file in messages.

    Raises:
        InputError: wrong identifier, truncated, or offsets that lead out of the file.
    """
    if not content:
        raise _bad(where, "a TFLite model", "an empty file")
    if len(content) < 16 or content[4:8] != schema.IDENTIFIER:
        raise _bad(where, "the identifier TFL3 at byte 4", repr(bytes(content[4:8])))
    tables = schema.module()
    try:
        root = struct.unpack_from("<I", content)[0]
        if not 8 <= root <= len(content) - 4:
            raise _bad(where, f"a root offset below {len(content)}", str(root))
        model = tables.ModelT.InitFromObj(tables.Model.GetRootAs(content, 0))
    except _PARSE_ERRORS as error:
        raise _bad(where, "whole flatbuffer tables", f"{type(error).__name__} ({error})") from error
    if not model.subgraphs or not model.operatorCodes or not model.buffers:
        raise _bad(where, "subgraphs, operator codes and buffers", "none")
    return model


def metadata_of(model: Any) -> dict[str, bytes]:
    """The named metadata buffers of a parsed model."""
    found: dict[str, bytes] = {}
    for entry in model.metadata or []:
        name = entry.name.decode("utf-8", "replace") if entry.name else ""
        if 0 <= entry.buffer < len(model.buffers) and model.buffers[entry.buffer].data is not None:
            found[name] = bytes(bytearray(model.buffers[entry.buffer].data))
    return found


def read_tflite(content: bytes, *, where: str = "the TFLite model") -> Graph:
    """Read the first subgraph of a .tflite file.

    Args:
        content: the whole file.
        where: how to call the file in messages.

    Returns:
        The graph; constants are copied out of the file, a leading dimension that may be resized
        is -1 in activations' shapes.

    Raises:
        InputError: a damaged file, an index out of bounds, a scale that is not finite and positive,
            a custom operator, an input that is a constant.
    """
    return graph_of(parse_model(content, where), where)


def graph_of(model: Any, where: str) -> Graph:
    """Turn a parsed model's first subgraph into a `Graph`; see `read_tflite`."""
    subgraph = model.subgraphs[0]
    try:
        tensors = tuple(_tensor(model, t, i, where) for i, t in enumerate(subgraph.tensors or []))
        operators = subgraph.operators if subgraph.operators is not None else []
        if len(operators) > MAX_OPERATORS:
            raise _bad(where, f"at most {MAX_OPERATORS} operators", str(len(operators)))
        ops = tuple(_op(model, o, i, len(tensors), where) for i, o in enumerate(operators))
        inputs = _indices(subgraph.inputs, len(tensors), "the graph's inputs", where)
        outputs = _indices(subgraph.outputs, len(tensors), "the graph's outputs", where)
    except _PARSE_ERRORS as error:
        raise _bad(where, "well-formed tensors and operators", f"{type(error).__name__} ({error})") from error
    for index in inputs:
        if tensors[index].is_constant:
            raise _bad(where, f"an input to be fed at '{tensors[index].name}'", "a constant")
    return Graph(tensors=tensors, ops=ops, inputs=inputs, outputs=outputs)


def _indices(values: Any, count: int, what: str, where: str, *, optional: bool = False) -> tuple[int, ...]:
    found = tuple(int(v) for v in (values if values is not None else []))
    low = -1 if optional else 0
    for value in found:
        if not low <= value < count:
            raise _bad(where, f"tensor numbers below {count} in {what}", str(value))
    return found


def _tensor(model: Any, source: Any, index: int, where: str) -> Tensor:
    name = source.name.decode("utf-8", "replace") if source.name else f"tensor_{index}"
    dtype = schema.tensor_dtypes().get(source.type)
    if dtype is None:
        raise _bad(where, f"a numeric type for tensor '{name}'", f"TFLite type number {source.type}")
    shape = tuple(int(d) for d in (source.shape if source.shape is not None else []))
    if any(d < 0 for d in shape):
        raise _bad(where, f"sizes of at least 0 for tensor '{name}'", str(shape))
    if not 0 <= source.buffer < len(model.buffers):
        raise _bad(where, f"a buffer number below {len(model.buffers)} for '{name}'", str(source.buffer))
    raw = model.buffers[source.buffer].data
    data = None
    if raw is not None and len(raw):
        expected = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if expected != len(raw):
            raise _bad(where, f"{expected} bytes for '{name}' of shape {shape}", f"{len(raw)} bytes")
        data = np.frombuffer(bytes(bytearray(raw)), dtype).reshape(shape)
    elif source.shapeSignature is not None and len(source.shapeSignature) == len(shape):
        shape = tuple(int(d) for d in source.shapeSignature)
    return Tensor(name=name, shape=shape, dtype=dtype, data=data, quant=_quant(source, name, where))


def _quant(source: Any, name: str, where: str) -> QuantParams | None:
    table = source.quantization
    if table is None or table.scale is None or not len(table.scale):
        return None
    scale = np.asarray(table.scale, np.float32)
    zero_point = np.asarray(
        table.zeroPoint if table.zeroPoint is not None else np.zeros(scale.shape), np.int64
    )
    try:
        return QuantParams(
            scale=scale, zero_point=zero_point, quantized_dimension=int(table.quantizedDimension)
        )
    except InputError as error:
        raise _bad(where, f"valid quantization of '{name}'", str(error)) from error


def _op(model: Any, source: Any, index: int, count: int, where: str) -> Op:
    if not 0 <= source.opcodeIndex < len(model.operatorCodes):
        raise _bad(where, f"an operator code below {len(model.operatorCodes)}", str(source.opcodeIndex))
    code = model.operatorCodes[source.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    kind = schema.operator_names().get(number, f"operator number {number}")
    if kind == "CUSTOM" or code.customCode:
        custom = bytes(code.customCode or b"").decode("utf-8", "replace")
        raise _bad(where, "builtin operators only", f"the custom operator '{custom}' (operator {index})")
    options_type = schema.options_names().get(source.builtinOptionsType, "")
    options = dict(vars(source.builtinOptions)) if source.builtinOptions is not None else {}
    what = f"operator {index} ({kind})"
    return Op(
        kind=kind,
        inputs=_indices(source.inputs, count, what, where, optional=True),
        outputs=_indices(source.outputs, count, what, where),
        options_type="" if options_type == "NONE" else options_type,
        options=MappingProxyType(options),
    )
