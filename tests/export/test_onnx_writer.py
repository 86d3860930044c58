"""ONNX files as a whole: types, layouts, names, and what ONNX Runtime makes of them."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import IoType
from mnist_export.export.onnx_writer import write_onnx


def as_codes(pixels):
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def maximum(net, x):
    """The larger of a map and one number a channel."""
    bounds = net.constant("c", np.linspace(-0.5, 0.8, net.shape(x)[2]))
    return net.op("MAXIMUM", "layer", (x, bounds), net.shape(x), "MaximumMinimumOptions")


def test_a_numbered_name_is_not_given_to_two_constants(net_builder, litert, onnxruntime_run):
    net = net_builder((4, 4, 2))
    first, second = net.constant("c", 1.0), net.constant("c", 2.0)
    x = net.op("ADD", "a", (0, first), (4, 4, 2), "AddOptions", fusedActivationFunction=0)
    x = net.op("MUL", "b", (x, second), (4, 4, 2), "MulOptions", fusedActivationFunction=0)
    x = net.op("ADD", "d", (x, first), (4, 4, 2), "AddOptions", fusedActivationFunction=0)
    x = net.op("MUL", "e", (x, second), (4, 4, 2), "MulOptions", fusedActivationFunction=0)
    # Written twice, the first constant gets a number: that of the second constant's own name.
    net.tensors[first] = replace(net.tensors[first], name="constant")
    net.tensors[second] = replace(net.tensors[second], name="constant_2")
    graph = net.graph(net.flatten(x))
    inputs = np.random.default_rng(0).random((3, 4, 4, 2), dtype=np.float32)
    found = onnxruntime_run(write_onnx(graph, io=IoType.FLOAT32), inputs)

    np.testing.assert_allclose(found, litert(graph, inputs), atol=1e-5)


@pytest.mark.parametrize("io", [IoType.UINT8, IoType.INT8, IoType.FLOAT32])
def test_input_and_output_types_name_the_same_integers(lenet_graph, in_int8, onnxruntime_run, io):
    model = in_int8(lenet_graph)
    pixels = np.random.default_rng(0).integers(0, 255, (8, 28, 28, 1), endpoint=True, dtype=np.uint8)
    expected = onnxruntime_run(write_onnx(model.graph, io=IoType.UINT8), pixels).astype(int) - 128
    content = write_onnx(model.graph, io=io)

    if io == IoType.UINT8:
        found = onnxruntime_run(content, pixels).astype(int) - 128
    elif io == IoType.INT8:
        found = onnxruntime_run(content, as_codes(pixels))
    else:
        real = onnxruntime_run(content, pixels / np.float32(255))
        found = model.output_quant.quantize(real, np.int8)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(28, 28), (784,), (28, 28, 1), (12, 10, 3)])
def test_every_input_rank_is_carried(net_builder, in_int8, litert, onnxruntime_run, shape):
    net = net_builder(shape)
    x = net.flatten(0) if len(shape) > 1 else 0
    graph = in_int8(net.graph(net.dense(net.dense(x, 12, act=1, name="hidden"), 5))).graph
    pixels = np.random.default_rng(0).integers(0, 255, (8, *shape), endpoint=True, dtype=np.uint8)

    found = onnxruntime_run(write_onnx(graph, io=IoType.UINT8), pixels)
    np.testing.assert_array_equal(found.astype(int) - 128, litert(graph, as_codes(pixels)))


@pytest.mark.parametrize("shape", [(5, 7, 3), (1, 1, 8), (4, 4, 1), (1, 6, 2)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_flatten_keeps_the_order_of_nhwc(net_builder, in_int8, litert, onnxruntime_run, shape, channels_last):
    net = net_builder(shape)
    graph = in_int8(net.graph(net.dense(net.flatten(net.conv(0, 3)), 5))).graph
    pixels = np.random.default_rng(0).integers(0, 255, (8, *shape), endpoint=True, dtype=np.uint8)

    found = onnxruntime_run(write_onnx(graph, io=IoType.UINT8, channels_last=channels_last), pixels)
    np.testing.assert_array_equal(found.astype(int) - 128, litert(graph, as_codes(pixels)))


def test_pooled_mean_with_and_without_the_map(net_builder, litert, onnxruntime_run):
    net = net_builder((6, 6, 2))
    graph = net.graph(net.dense(net.mean(net.conv(0, 4)), 3))
    inputs = np.random.default_rng(0).uniform(0, 1, (4, 6, 6, 2)).astype(np.float32)

    np.testing.assert_allclose(
        onnxruntime_run(write_onnx(graph, io=IoType.FLOAT32), inputs), litert(graph, inputs), atol=2e-5
    )


def test_softmax_and_squeeze(net_builder, litert, onnxruntime_run):
    net = net_builder((6, 6, 2))
    x = net.conv(0, 4, 6, same=False)
    x = net.op("SQUEEZE", "squeeze", (x,), (4,), "SqueezeOptions", squeezeDims=[1, 2])
    graph = net.graph(net.op("SOFTMAX", "softmax", (x,), (4,), "SoftmaxOptions", beta=1.0))
    inputs = np.random.default_rng(0).uniform(0, 1, (4, 6, 6, 2)).astype(np.float32)

    np.testing.assert_allclose(
        onnxruntime_run(write_onnx(graph, io=IoType.FLOAT32), inputs), litert(graph, inputs), atol=1e-6
    )


def test_a_layer_kept_in_float_stands_between_dequantize_and_quantize(
    lenet_graph, in_int8, litert, onnxruntime_run
):
    model = in_int8(lenet_graph, keep_float=("dense1",))
    pixels = np.random.default_rng(0).integers(0, 255, (8, 28, 28, 1), endpoint=True, dtype=np.uint8)
    found = onnxruntime_run(write_onnx(model.graph, io=IoType.UINT8), pixels).astype(int) - 128

    # float sums round apart now and then; one step each, not more
    assert np.abs(found - litert(model.graph, as_codes(pixels))).max() <= 1


@pytest.mark.parametrize(
    ("kept", "convolutions", "dense"), [("conv1", 1, 0), ("conv2", 1, 0), ("dense1", 0, 1), ("conv*", 2, 0)]
)
def test_onnx_runtime_leaves_a_layer_kept_in_float_in_float(
    lenet_graph, in_int8, onnxruntime_run, tmp_path, kept, convolutions, dense
):
    import onnxruntime

    content = write_onnx(in_int8(lenet_graph, keep_float=(kept,)).graph, io=IoType.UINT8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)
    pixels = np.random.default_rng(0).integers(0, 255, (16, 28, 28, 1), endpoint=True, dtype=np.uint8)
    fused, plain = (onnxruntime_run(content, pixels, optimize=o).astype(int) for o in (True, False))

    assert (kinds["Conv"] + kinds["FusedConv"], kinds["QLinearConv"]) == (convolutions, 2 - convolutions)
    assert (kinds["Gemm"], kinds["QGemm"]) == (dense, 2 - dense)
    assert np.abs(fused - plain).max() <= 1


def test_without_optimizations_the_integers_are_at_most_a_step_apart(lenet_graph, in_int8, onnxruntime_run):
    content = write_onnx(in_int8(lenet_graph).graph, io=IoType.UINT8)
    pixels = np.random.default_rng(0).integers(0, 255, (16, 28, 28, 1), endpoint=True, dtype=np.uint8)

    fused = onnxruntime_run(content, pixels).astype(int)
    assert np.abs(onnxruntime_run(content, pixels, optimize=False) - fused).max() <= 1


def test_padding_becomes_the_convolutions_own(network, in_int8):
    model = onnx.load_from_string(
        write_onnx(
            in_int8(network(lambda net, x: net.conv(net.pad(x, 1), 5, same=False))).graph, io=IoType.UINT8
        )
    )
    convs = [n for n in model.graph.node if n.op_type == "Conv"]

    assert "Pad" not in {n.op_type for n in model.graph.node}
    assert [list(a.ints) for a in convs[1].attribute if a.name == "pads"] == [[1, 1, 1, 1]]


def test_comparisons_run_on_codes(network, in_int8):
    model = onnx.load_from_string(write_onnx(in_int8(network(maximum)).graph, io=IoType.UINT8))
    (node,) = [n for n in model.graph.node if n.op_type == "Max"]
    writers = {o: n.op_type for n in model.graph.node for o in n.output}
    constants = {c.name: c.data_type for c in model.graph.initializer}

    assert writers[node.input[0]] == "QuantizeLinear"
    assert constants[node.input[1]] == onnx.TensorProto.UINT8


def test_scales_of_activations_are_scalars(network, in_int8):
    graph = network(lambda net, x: net.affine(x, [0.5, 1, 2, 1], [0.1, 0, -0.3, 0.2]))
    model = onnx.load_from_string(write_onnx(in_int8(graph).graph, io=IoType.UINT8))
    shapes = {c.name: tuple(c.dims) for c in model.graph.initializer}

    quantizers = [n for n in model.graph.node if n.op_type == "QuantizeLinear"]
    assert quantizers
    assert {shapes[name] for n in quantizers for name in n.input[1:]} == {()}


def test_the_same_graph_gives_the_same_bytes(lenet_graph, in_int8):
    graph = in_int8(lenet_graph).graph

    assert write_onnx(graph, io=IoType.UINT8) == write_onnx(graph, io=IoType.UINT8)


def test_metadata_and_free_batch_are_in_the_file(lenet_graph, in_int8):
    content = write_onnx(in_int8(lenet_graph).graph, io=IoType.UINT8, metadata={"b": "2", "a": "1"}, name="n")
    model = onnx.load_from_string(content)

    assert [(p.key, p.value) for p in model.metadata_props] == [("a", "1"), ("b", "2")]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert (model.graph.name, model.opset_import[0].version) == ("n", 17)


def test_an_operator_without_a_spelling_is_refused_by_its_layers_name(net_builder):
    net = net_builder((4, 4, 1))
    graph = net.graph(net.op("UNIQUE", "rounding", (0,), (4, 4, 1)))

    with pytest.raises(UnsupportedError, match=r"'logits' uses the operator UNIQUE.*formats=.tflite"):
        write_onnx(graph, io=IoType.FLOAT32)


@pytest.mark.parametrize("shape", [(1, 1, 6), (2, 3, 4), (5, 4)])
def test_dense_layers_flatten_what_they_read(net_builder, in_int8, litert, onnxruntime_run, shape):
    net = net_builder(shape)
    size = int(np.prod(shape))
    weights = net.constant("w", net.rng.normal(0, 0.3, (3, size)))
    bias = net.constant("b", np.array([0.1, 0.2, -0.3]))
    source = net.conv(0, shape[2]) if len(shape) == 3 else 0
    x = net.op("FULLY_CONNECTED", "dense", (source, weights, bias), (3,), "FullyConnectedOptions")
    graph = in_int8(net.graph(x)).graph
    pixels = np.random.default_rng(0).integers(0, 255, (8, *shape), endpoint=True, dtype=np.uint8)

    found = onnxruntime_run(write_onnx(graph, io=IoType.UINT8), pixels)
    np.testing.assert_array_equal(found.astype(int) - 128, litert(graph, as_codes(pixels)))


def test_dense_layers_over_other_widths_are_refused(net_builder):
    net = net_builder((4, 6))
    weights = net.constant("w", np.ones((3, 5)))
    op = Op(kind="FULLY_CONNECTED", inputs=(0, weights), outputs=(net.value("dense", (4, 3)),),
            options={"keepNumDims": True, "fusedActivationFunction": 0})  # fmt: skip
    net.ops.append(op)
    graph: Graph = net.graph(op.outputs[0])

    with pytest.raises(UnsupportedError, match="dense over 6 values, expected 5"):
        write_onnx(graph, io=IoType.FLOAT32)


PROGRAM = """
import sys
import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

pixels = np.random.default_rng(11).integers(0, 255, (1, 28, 28, 1), endpoint=True, dtype=np.uint8)
interpreter = Interpreter(model_path=sys.argv[1])
interpreter.allocate_tensors()
codes = (pixels.astype(np.int16) - 128).astype(np.int8)
interpreter.set_tensor(interpreter.get_input_details()[0]["index"], codes)
interpreter.invoke()
lite = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
session = onnxruntime.InferenceSession(sys.argv[2])
onnx = session.run(None, {session.get_inputs()[0].name: pixels})[0]
assert (lite.astype(int) + 128 == onnx).all(), (lite, onnx)
assert not [name for name in sys.modules if name.startswith("mnist_export")]
print("equal", int(onnx.argmax()))
"""


def test_a_stranger_with_plain_calls_gets_the_same_integers(lenet_graph, in_int8, tmp_path):
    graph = in_int8(lenet_graph).graph
    (tmp_path / "a.tflite").write_bytes(write_tflite(graph))
    (tmp_path / "a.onnx").write_bytes(write_onnx(graph, io=IoType.UINT8))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "a.tflite"), str(tmp_path / "a.onnx")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("equal")


@pytest.mark.parametrize(("opset", "version"), [(13, 7), (15, 8), (17, 8), (18, 8), (19, 9), (21, 10)])
def test_every_opset_gives_the_same_codes(in_int8, lenet_graph, onnxruntime_run, opset, version):
    graph = in_int8(lenet_graph).graph
    images = (
        np.random.default_rng(0).integers(0, 256, (8, *lenet_graph.tensors[0].shape[1:])).astype(np.uint8)
    )
    content = write_onnx(graph, io=IoType.UINT8, opset=opset)
    model = onnx.load_from_string(content)

    assert (model.opset_import[0].version, model.ir_version) == (opset, version)
    np.testing.assert_array_equal(
        onnxruntime_run(content, images), onnxruntime_run(write_onnx(graph, io=IoType.UINT8), images)
    )
