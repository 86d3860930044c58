"""Writes a `Graph` as a .tflite file; the same graph gives the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mnist_export.core.graph import schema
from mnist_export.core.graph.ir import Graph, Op, Tensor
from mnist_export.core.graph.operators import operator

SIGNATURE = "serving_default"


def operator_version(graph: Graph, op: Op) -> int:
    """The lowest operator version whose kernels take this operator's tensor types."""
    dtypes = {graph.tensors[i].dtype for i in (*op.inputs, *op.outputs) if i >= 0}
    if op.kind == "FULLY_CONNECTED" and np.dtype(np.int8) in dtypes:
        weights = graph.tensors[op.inputs[1]].quant
        if weights is not None and weights.is_per_channel:
            return 12
    if np.dtype(np.int16) in dtypes:
        return operator(op.kind).int16_version
    if np.dtype(np.int8) in dtypes:
        if op.kind == "QUANTIZE" and np.dtype(np.float32) not in dtypes:
            return 2
        return operator(op.kind).int8_version
    return 1


def write_tflite(
    graph: Graph, *, metadata: Mapping[str, bytes] | None = None, description: str = ""
) -> bytes:
    """Write a graph as a TFLite flatbuffer, schema version 3.

    Constants are aligned to 16 bytes as the schema demands. A batch of -1 is written as 1 with a
    shape signature, so that an interpreter may resize it.

    Args:
        graph: the graph; tensor names must be unique.
        metadata: named buffers to store beside it.
        description: the model's description field.

    Returns:
        The file's bytes.
    """
    import flatbuffers

    tables = schema.module()
    model = tables.ModelT()
    model.version = schema.SCHEMA_VERSION
    model.description = description.encode()
    model.buffers = [aligned_buffer(b"")]
    subgraph = tables.SubGraphT()
    subgraph.name = b"main"
    subgraph.tensors = [_tensor(model, tensor) for tensor in graph.tensors]
    subgraph.inputs = list(graph.inputs)
    subgraph.outputs = list(graph.outputs)
    codes: dict[tuple[str, int], int] = {}
    subgraph.operators = [_operator(graph, op, codes) for op in graph.ops]
    model.operatorCodes = [_operator_code(kind, version) for kind, version in codes]
    model.subgraphs = [subgraph]
    model.signatureDefs = [_signature(graph)]
    model.metadata = [_metadata(model, name, content) for name, content in (metadata or {}).items()]
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), file_identifier=schema.IDENTIFIER)
    return bytes(builder.Output())


def aligned_buffer(content: bytes) -> Any:
    """A ``BufferT`` that packs its bytes at the schema's alignment, which the generated code forgets."""
    tables = schema.module()

    class AlignedBuffer(tables.BufferT):  # type: ignore[misc,name-defined]
        def Pack(self, builder: Any) -> Any:  # noqa: N802 - the name that flatbuffers calls
            vector = None
            if content:
                builder.StartVector(1, len(content), schema.BUFFER_ALIGNMENT)
                builder.head = builder.head - len(content)
                builder.Bytes[builder.head : builder.head + len(content)] = content
                vector = builder.EndVector()
            tables.BufferStart(builder)
            if vector is not None:
                tables.BufferAddData(builder, vector)
            return tables.BufferEnd(builder)

    return AlignedBuffer()


def _tensor(model: Any, tensor: Tensor) -> Any:
    tables = schema.module()
    packed = tables.TensorT()
    packed.name = tensor.name.encode()
    packed.shape = [1 if d < 0 else d for d in tensor.shape]
    if any(d < 0 for d in tensor.shape):
        packed.shapeSignature = list(tensor.shape)
    packed.type = next(number for number, dtype in schema.tensor_dtypes().items() if dtype == tensor.dtype)
    packed.hasRank = True
    if tensor.data is not None:
        packed.buffer = len(model.buffers)
        model.buffers.append(aligned_buffer(np.ascontiguousarray(tensor.data, tensor.dtype).tobytes()))
    if tensor.quant is not None:
        packed.quantization = tables.QuantizationParametersT()
        packed.quantization.scale = tensor.quant.scale.astype(np.float32)
        packed.quantization.zeroPoint = tensor.quant.zero_point.astype(np.int64)
        packed.quantization.quantizedDimension = tensor.quant.quantized_dimension
    return packed


def _operator(graph: Graph, op: Op, codes: dict[tuple[str, int], int]) -> Any:
    tables = schema.module()
    packed = tables.OperatorT()
    packed.opcodeIndex = codes.setdefault((op.kind, operator_version(graph, op)), len(codes))
    packed.inputs = list(op.inputs)
    packed.outputs = list(op.outputs)
    if op.options_type:
        packed.builtinOptionsType = getattr(tables.BuiltinOptions, op.options_type)
        packed.builtinOptions = getattr(tables, op.options_type + "T")()
        for name, value in op.options.items():
            setattr(packed.builtinOptions, name, value)
    return packed


def _operator_code(kind: str, version: int) -> Any:
    tables = schema.module()
    code = tables.OperatorCodeT()
    code.builtinCode = getattr(tables.BuiltinOperator, kind)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)  # schema.fbs: 127 where the code is larger
    code.version = version
    return code


def _signature(graph: Graph) -> Any:
    tables = schema.module()

    def mapped(index: int, name: str) -> Any:
        entry = tables.TensorMapT()
        entry.name = name.encode()
        entry.tensorIndex = index
        return entry

    signature = tables.SignatureDefT()
    signature.signatureKey = SIGNATURE.encode()
    signature.inputs = [mapped(i, graph.tensors[i].name) for i in graph.inputs]
    signature.outputs = [mapped(i, graph.tensors[i].name) for i in graph.outputs]
    return signature


def _metadata(model: Any, name: str, content: bytes) -> Any:
    entry = schema.module().MetadataT()
    entry.name = name.encode()
    entry.buffer = len(model.buffers)
    model.buffers.append(aligned_buffer(content))
    return entry
