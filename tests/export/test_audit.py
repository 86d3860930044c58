"""The audit reads the bytes: what it says of honest files, and that dishonest ones fail."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from mnist_export.core.errors import ConversionError, InputError
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import Format, IoType, Precision
from mnist_export.export.audit import audit
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.export.tflite_io import with_io
from mnist_export.quantize import SchemeConfig, quantize
from mnist_export.quantize.rewrites import Target, rewrite_for


def weights_of(graph):
    """Elements of all weights of a graph (input 1 of its weighted layers)."""
    kinds = {"CONV_2D", "FULLY_CONNECTED"}
    return sum(graph.tensors[op.inputs[1]].data.size for op in graph.ops if op.kind in kinds)


def biases_of(graph):
    kinds = {"CONV_2D", "FULLY_CONNECTED"}
    return sum(graph.tensors[op.inputs[2]].data.size for op in graph.ops if op.kind in kinds)


def test_an_integer_tflite_holds_integers_only(lenet_graph, in_int8):
    graph = in_int8(lenet_graph).graph
    result = audit(write_tflite(graph), Format.TFLITE, Precision.INT8)

    assert result.weight_bytes == {"int8": weights_of(graph), "int32": 4 * biases_of(graph)}
    assert result.operators == {"CONV_2D": 2, "FULLY_CONNECTED": 2, "MAX_POOL_2D": 2, "RESHAPE": 1}
    assert result.float_layers == ()
    assert result.io_types == ("int8", "int8")


def test_an_integer_onnx_holds_integers_only(lenet_graph, in_int8):
    graph = in_int8(lenet_graph).graph
    result = audit(write_onnx(graph, io=IoType.UINT8), Format.ONNX, Precision.INT8)

    assert result.weight_bytes == {"int8": weights_of(graph), "int32": 4 * biases_of(graph)}
    assert (result.operators["Conv"], result.operators["Gemm"]) == (2, 2)
    assert result.float_layers == ()
    assert result.io_types == ("uint8", "uint8")


@pytest.mark.parametrize("target", [Target.LITERT, Target.ONNXRUNTIME])
def test_rewritten_files_hold_integers_only(lenet_graph, in_int8, target):
    graph = rewrite_for(in_int8(lenet_graph), target)[0].graph

    for content, fmt in (
        (write_tflite(graph), Format.TFLITE),
        (write_onnx(graph, io=IoType.UINT8, channels_last=True), Format.ONNX),
    ):
        result = audit(content, fmt, Precision.INT8)
        assert set(result.weight_bytes) == {"int8", "int32"}
        assert result.float_layers == ()


@pytest.mark.parametrize("io", [IoType.FLOAT32, IoType.UINT8])
def test_conversions_at_the_ends_are_no_float_layers(lenet_graph, in_int8, io):
    graph = in_int8(lenet_graph).graph
    tflite = audit(write_tflite(with_io(graph, io)), Format.TFLITE, Precision.INT8)
    onnx_file = audit(write_onnx(graph, io=io), Format.ONNX, Precision.INT8)

    assert tflite.float_layers == onnx_file.float_layers == ()
    assert tflite.io_types == onnx_file.io_types == (str(io), str(io))


@pytest.mark.parametrize("fmt", [Format.TFLITE, Format.ONNX])
def test_a_float_file_that_calls_itself_integer_fails(lenet_graph, fmt):
    content = (
        write_tflite(lenet_graph) if fmt == Format.TFLITE else write_onnx(lenet_graph, io=IoType.FLOAT32)
    )

    with pytest.raises(
        ConversionError, match=r"int8: expected integers only, found \d+ bytes of float weights"
    ):
        audit(content, fmt, Precision.INT8)
    assert audit(content, fmt, Precision.FLOAT32).weight_bytes["float32"] > 0


@pytest.mark.parametrize("fmt", [Format.TFLITE, Format.ONNX])
def test_one_float_layer_fails_by_its_name_unless_it_was_asked_for(lenet_graph, in_int8, fmt):
    graph = in_int8(lenet_graph, keep_float=("dense1",)).graph
    content = write_tflite(graph) if fmt == Format.TFLITE else write_onnx(graph, io=IoType.UINT8)

    with pytest.raises(ConversionError, match="dense1"):
        audit(content, fmt, Precision.INT8)
    result = audit(content, fmt, Precision.INT8, keep_float=True)
    assert len(result.float_layers) == 1
    assert "dense1" in result.float_layers[0]
    assert result.weight_bytes["float32"] > 0


def test_weights_folded_back_to_float_are_found(lenet_graph, in_int8):
    model = onnx.load_from_string(write_onnx(in_int8(lenet_graph).graph, io=IoType.UINT8))
    constants = {c.name: c for c in model.graph.initializer}
    node = next(
        n for n in model.graph.node if n.op_type == "DequantizeLinear" and n.input[0].startswith("conv2/w")
    )
    folded = numpy_helper.to_array(constants[node.input[0]]).astype("float32")
    model.graph.initializer.append(numpy_helper.from_array(folded, "folded"))
    for other in model.graph.node:
        other.input[:] = ["folded" if name == node.output[0] else name for name in other.input]
    model.graph.node.remove(node)

    with pytest.raises(ConversionError, match=rf"{folded.nbytes} bytes of float weights.*conv2"):
        audit(model.SerializeToString(), Format.ONNX, Precision.INT8)


def test_half_precision_files_say_so(lenet_graph):
    graph = quantize(lenet_graph, SchemeConfig(precision=Precision.FLOAT16)).graph
    result = audit(write_tflite(graph), Format.TFLITE, Precision.FLOAT16)

    assert set(result.weight_bytes) == {"float16"}


def test_a_damaged_file_is_no_audit_result(lenet_graph, in_int8):
    content = write_tflite(in_int8(lenet_graph).graph)

    with pytest.raises(InputError):
        audit(content[: len(content) // 2], Format.TFLITE, Precision.INT8)


@pytest.mark.parametrize("after", [(16, 16), (5, 7)])
def test_sums_of_codes_are_no_float_layers(net_builder, in_int8, after):
    """A resize that ONNX's own gives exactly, and one in sums of 32-bit integers."""
    net = net_builder((8, 8, 1))
    sizes = net.constant("sizes", after, np.int32)
    options = {"alignCorners": False, "halfPixelCenters": True}
    x = net.op("RESIZE_BILINEAR", "resize", (0, sizes), (*after, 1), "ResizeBilinearOptions", **options)
    graph = in_int8(net.graph(net.dense(net.flatten(net.conv(x, 2)), 4))).graph
    content = write_onnx(graph, io=IoType.UINT8)
    assert audit(content, Format.ONNX, Precision.INT8).float_layers == ()
