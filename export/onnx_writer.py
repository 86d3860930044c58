"""Writes a quantized or float `Graph` as ONNX: a clean QDQ graph of the very same integers.

Activations are uint8 (the int8 code plus 128), weights int8, layout NCHW, one QuantizeLinear and one
DequantizeLinear around every operator: the form that ONNX Runtime fuses completely.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph, Tensor
from mnist_export.core.kinds import IoType
from mnist_export.export.onnx_builder import NCHW_TO_NHWC, NHWC_TO_NCHW, OnnxBuilder
from mnist_export.export.onnx_ops import emit

OPSET = 17
IR_VERSIONS: Mapping[int, int] = MappingProxyType(
    {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10}
)
"""Opset to the file's format version that ONNX released with it; a runtime reads no newer one than it knows.

Reference: https://github.com/onnx/onnx/blob/main/docs/Versioning.md ("Released Versions").
"""
PRODUCER = "mnist-export"


def write_onnx(
    graph: Graph,
    *,
    io: IoType,
    metadata: Mapping[str, str] | None = None,
    name: str = "model",
    version: str = "",
    channels_last: bool = False,
    opset: int = OPSET,
) -> bytes:
    """Write a graph as an ONNX model with a free batch dimension.

    Args:
        graph: float or quantized, input NHWC (or of rank 2 or 3).
        io: type of the file's input and output: uint8, int8 or float32.
        metadata: the model's metadata_props.
        name: the ONNX graph's name.
        version: the producer's version.
        channels_last: transpose to NHWC before dense layers instead of permuting their weights; ONNX
            Runtime cancels the transposes of an integer graph.
        opset: the version of ONNX's operators, one of `IR_VERSIONS`.

    Returns:
        The file's bytes; the same graph gives the same bytes.

    Raises:
        UnsupportedError: an operator without an ONNX form; the message names the layer.
        ConversionError: the result fails ONNX's own checker.
    """
    import onnx
    from onnx import helper, numpy_helper

    builder = OnnxBuilder(graph=graph, channels_last=channels_last, opset=opset)
    (entry,) = graph.inputs
    for taken in (graph.tensors[index].name for index in (entry, *graph.outputs)):
        builder.unique(taken)
    _enter(builder, entry, io)
    for op in graph.ops:
        emit(builder, op)
    for result in graph.outputs:
        _leave(builder, result, io)
    model = helper.make_model(
        helper.make_graph(
            builder.nodes,
            name,
            [_value_info(graph.tensors[entry], io)],
            [_value_info(graph.tensors[result], io) for result in graph.outputs],
            [numpy_helper.from_array(value, key) for key, value in builder.initializers.items()],
        ),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=IR_VERSIONS[opset],
        producer_name=PRODUCER,
        producer_version=version,
    )
    for key, text in sorted((metadata or {}).items()):
        model.metadata_props.add(key=key, value=text)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ConversionError(f"ONNX export failed its check for '{name}': {error}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _value_info(tensor: Tensor, io: IoType) -> Any:
    from onnx import helper

    dtype = np.dtype(np.float32) if tensor.quant is None else np.dtype(str(io))
    shape = ["batch" if size < 0 else size for size in tensor.shape]
    return helper.make_tensor_value_info(tensor.name, helper.np_dtype_to_tensor_dtype(dtype), shape)


def _enter(builder: OnnxBuilder, index: int, io: IoType) -> None:
    """Bring the file's input to NCHW and, for a quantized graph, to the graph's codes."""
    tensor = builder.graph.tensors[index]
    value = tensor.name
    readers = builder.graph.consumers(index)
    if len(tensor.shape) == 4 and readers and all(op.kind == "RESHAPE" for op in readers):
        builder.channels_last_values.add(index)
    elif len(tensor.shape) == 4:
        height, width, channels = tensor.shape[1:]
        if channels == 1:
            shape = builder.constant("image/shape", np.array([-1, 1, height, width], np.int64))
            value = builder.node("Reshape", [value, shape], "image/nchw")
        else:
            value = builder.node("Transpose", [value], "image/nchw", perm=list(NHWC_TO_NCHW))
    if tensor.quant is None:
        builder.real_values[index] = value
    elif io == IoType.UINT8:
        builder.codes[index] = value
    elif io == IoType.INT8:
        builder.store(index, _int8_to_real(builder, tensor, value))
    else:
        builder.store(index, value)


def _int8_to_real(builder: OnnxBuilder, tensor: Tensor, value: str) -> str:
    return builder.node("DequantizeLinear", [value, *_int8_params(builder, tensor)], "image/real")


def _int8_params(builder: OnnxBuilder, tensor: Tensor) -> list[str]:
    quant = tensor.quant
    if quant is None:
        raise ConversionError(f"ONNX export: '{tensor.name}' has no scale; expected a quantized tensor.")
    return [
        builder.constant(f"{tensor.name}/scale", quant.scale.reshape(())),
        builder.constant(f"{tensor.name}/zero_point", quant.zero_point.reshape(()).astype(np.int8)),
    ]


def _leave(builder: OnnxBuilder, index: int, io: IoType) -> None:
    """Give an output its public name and the file's output type."""
    tensor = builder.graph.tensors[index]
    if tensor.quant is None or io == IoType.FLOAT32:
        last = builder.real(index)
    elif io == IoType.UINT8:
        last = builder.codes[index]
    else:
        real = builder.real(index)
        last = builder.node("QuantizeLinear", [real, *_int8_params(builder, tensor)], f"{tensor.name}/int8")
    if len(tensor.shape) == 4:
        last = builder.node("Transpose", [last], f"{tensor.name}/nhwc", perm=list(NCHW_TO_NHWC))
    writer = next(node for node in builder.nodes if last in node.output)
    readers = [node for node in builder.nodes if last in node.input]
    writer.output[0] = tensor.name
    for node in readers:
        node.input[:] = [tensor.name if name == last else name for name in node.input]
