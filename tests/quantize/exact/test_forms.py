"""Forms beside weights on the grid: tables, float32 without ties, moves, groups, differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import IoType, Precision, Verdict
from mnist_export.core.pixels import InputRange
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.parity.certificate.certifying import certify
from mnist_export.parity.certificate.equality import equality
from mnist_export.quantize.exact import quantize_exact
from mnist_export.quantize.exact.simulation import simulate
from mnist_export.quantize.network.scheme import SchemeConfig

INT8 = SchemeConfig(precision=Precision.INT8)
EVERYWHERE = (
    "litert xnnpack", "litert builtin", "litert reference", "onnxruntime all", "onnxruntime extended",
    "onnxruntime basic", "onnxruntime disabled", "numpy integers",
)  # fmt: skip


def plain(net, kind, name, inputs, options_type, **options):
    return net.op(
        kind, name, inputs, net.shape(inputs[0]), options_type, fusedActivationFunction=0, **options
    )


def gate(net, x, sigmoid="LOGISTIC"):
    """Squeeze and excitation: a mean, a dense layer, a function, a product."""
    channels = net.shape(x)[2]
    axes = net.constant("squeeze/axes", [1, 2], np.int32)
    pooled = net.op("MEAN", "squeeze", (x, axes), (1, 1, channels), "ReducerOptions", keepDims=True)
    made = net.op(sigmoid, "gate", (net.conv(pooled, channels, 1, act=0, name="excite"),), (1, 1, channels))
    return plain(net, "MUL", "gated", (x, made), "MulOptions")


def function(kind, options_type="", **options):
    def body(net, x):
        return net.op(
            kind,
            "function",
            (net.conv(x, 4, act=0, name="before"),),
            (10, 10, 4),
            options_type,
            **options,
        )

    return body


def swish(net, x):
    x = net.conv(x, 4, act=0, name="before")
    return plain(net, "MUL", "swish", (x, net.op("LOGISTIC", "sigmoid", (x,), net.shape(x))), "MulOptions")


def padded_average(net, x):
    return net.pool(x, "AVERAGE_POOL_2D", 3, stride=1, same=True, name="smooth")


def over_channels(net, x):
    axes = net.constant("spatial/axes", [3], np.int32)
    mean = net.op("MEAN", "spatial", (x, axes), (10, 10, 1), "ReducerOptions", keepDims=True)
    most = net.op("REDUCE_MAX", "most", (x, axes), (10, 10, 1), "ReducerOptions", keepDims=True)
    joined = net.concatenate(mean, most)
    made = net.op("LOGISTIC", "gate", (net.conv(joined, 1, act=0, name="look"),), (10, 10, 1))
    return plain(net, "MUL", "gated", (x, made), "MulOptions")


def difference(net, x):
    return plain(net, "SUB", "difference", (x, net.conv(x, 4, act=0, name="other")), "SubOptions")


def sum_of_two_sizes(net, x):
    large = plain(net, "MUL", "large", (x, net.constant("factor", [50.0] * 4)), "MulOptions")
    grown = net.conv(large, 4, act=0, name="grown")
    return net.add(x, grown, act=1, name="residual")


def broadcast_sum(net, x):
    axes = net.constant("squeeze/axes", [1, 2], np.int32)
    pooled = net.op("MEAN", "squeeze", (x, axes), (1, 1, 4), "ReducerOptions", keepDims=True)
    return plain(net, "ADD", "lifted", (x, pooled), "AddOptions")


def by_pixel(net, x):
    factors = net.constant("mask/factors", net.rng.uniform(0, 2, (1, 10, 10, 1)))
    return plain(net, "MUL", "mask", (x, factors), "MulOptions")


def groups(net, x):
    weights = net.constant("groups/w", net.rng.normal(0, 0.3, (6, 3, 3, 2)))
    bias = net.constant("groups/b", net.rng.normal(0, 0.2, 6))
    options = {"padding": 0, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    return net.op(
        "CONV_2D",
        "groups",
        (x, weights, bias),
        (10, 10, 6),
        "Conv2DOptions",
        fusedActivationFunction=1,
        **options,
    )


def moves(net, x):
    turned = net.op(
        "TRANSPOSE",
        "turned",
        (x, net.constant("turn", [0, 2, 1, 3], np.int32)),
        (10, 10, 4),
        "TransposeOptions",
    )
    begin = net.constant("begin", [0, 1, 2, 0], np.int32)
    part = (turned, begin, net.constant("size", [-1, 8, 8, 3], np.int32))
    parts = net.op("SLICE", "part", part, (8, 8, 3), "SliceOptions")
    mirrored = net.op(
        "MIRROR_PAD", "mirrored", (parts, net.constant("pads", [[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)),
        (10, 10, 3), "MirrorPadOptions", mode=0,
    )  # fmt: skip
    size = net.constant("larger", [20, 20], np.int32)
    return net.op(
        "RESIZE_NEAREST_NEIGHBOR", "larger/out", (mirrored, size), (20, 20, 3),
        "ResizeNearestNeighborOptions",
        alignCorners=False, halfPixelCenters=False,
    )  # fmt: skip


BODIES = {
    "gate": gate,
    "hard gate": lambda net, x: gate(net, x, "RELU_0_TO_1"),
    "swish": swish,
    "gelu": function("GELU", "GeluOptions", approximate=False),
    "elu": function("ELU"),
    "tanh": function("TANH"),
    "leaky": function("LEAKY_RELU", "LeakyReluOptions", alpha=0.2),
    "hard swish": function("HARD_SWISH", "HardSwishOptions"),
    "padded average": padded_average,
    "mean over channels": over_channels,
    "difference": difference,
    "broadcast sum": broadcast_sum,
    "sum of two sizes": sum_of_two_sizes,
    "factor by pixel": by_pixel,
    "groups": groups,
    "moves": moves,
}


def exact_of(net_builder, name, seed=1):
    net = net_builder((10, 10, 2), seed=seed)
    x = BODIES[name](net, net.conv(0, 4, name="stem"))
    graph = net.graph(net.dense(net.flatten(net.pool(x, size=2)), 5))
    images = np.random.default_rng(seed).integers(0, 256, (32, 10, 10, 2), dtype=np.uint8)
    images[::3] = np.where(images[::3] > 128, 255, 0)
    return quantize_exact(graph, images, None, INT8).graph, images


def files_of(graph):
    return {".tflite": write_tflite(graph), ".onnx": write_onnx(graph, io=IoType.UINT8)}


@pytest.mark.parametrize("name", BODIES)
def test_the_same_integers_everywhere_and_certified(net_builder, name):
    graph, images = exact_of(net_builder, name)
    files = files_of(graph)
    for extension, content in files.items():
        found = certify(content)
        assert found.verdict is Verdict.PASS, (extension, found.text)
    found = equality(files, images, names=EVERYWHERE)
    assert found.verdict is Verdict.PASS, found.text
    np.testing.assert_array_equal(simulate(graph, images), found.logits)


def test_a_sum_of_two_sizes_keeps_both_scales_unless_it_is_for_c(net_builder):
    graph, images = exact_of(net_builder, "sum of two sizes")
    assert "DEQUANTIZE" in {op.kind for op in graph.ops}
    net = net_builder((10, 10, 2), seed=1)
    x = sum_of_two_sizes(net, net.conv(0, 4, name="stem"))
    float_graph = net.graph(net.dense(net.flatten(net.pool(x, size=2)), 5))
    whole = quantize_exact(float_graph, images, None, INT8, one_scale=True).graph
    assert "DEQUANTIZE" not in {op.kind for op in whole.ops}


def test_every_pair_of_codes_has_one_product(net_builder):
    """All 65,536 products of two codes, through every kernel."""
    net = net_builder((256, 256, 2))
    size = net.constant("size", [-1, 256, 256, 1], np.int32)
    begins = [net.constant(f"begin{channel}", [0, 0, 0, channel], np.int32) for channel in (0, 1)]
    parts = [
        net.op("SLICE", f"part{begin}", (0, begin, size), (256, 256, 1), "SliceOptions") for begin in begins
    ]
    x = plain(net, "MUL", "product", tuple(parts), "MulOptions")
    graph = net.graph(net.flatten(x))
    pixels = np.stack(np.meshgrid(np.arange(256), np.arange(256)), -1)[None].astype(np.uint8)
    plain_pixels = InputRange(lo=0, hi=255 / 256)
    exact = quantize_exact(graph, pixels, None, replace(INT8, input_range=plain_pixels)).graph
    found = equality(files_of(exact), pixels, names=EVERYWHERE)
    assert found.verdict is Verdict.PASS, found.text
    scale = exact.tensors[exact.outputs[0]].quant
    products = pixels[0, ..., 0].astype(int) * pixels[0, ..., 1] / 65536
    shown = scale.dequantize(found.logits.reshape(256, 256))
    inside = np.abs(products / scale.scale[0] + scale.zero_point[0]) < 127
    assert np.abs(shown - products)[inside].max() <= scale.scale[0] * 0.502


def changed(graph, ending, change):
    (index,) = [i for i, t in enumerate(graph.tensors) if t.name.endswith(ending)]
    tensor = graph.tensors[index]
    data = tensor.data.copy()
    change(data)
    return graph.with_tensors({index: replace(tensor, data=data)})


@pytest.mark.parametrize("place", [0, 128, 255])
@pytest.mark.parametrize("extension", [".tflite", ".onnx"])
def test_a_wrong_entry_of_a_table_is_caught(net_builder, extension, place):
    graph, _ = exact_of(net_builder, "swish")

    def change(table):
        table[place] ^= 1

    found = certify(files_of(changed(graph, "/table", change))[extension])
    assert found.verdict is Verdict.FAIL
    assert "CRC-32" in found.text


@pytest.mark.parametrize("extension", [".tflite", ".onnx"])
def test_float32_that_meets_ties_is_caught(net_builder, extension):
    graph, _ = exact_of(net_builder, "gate")

    def change(nudge):
        nudge[...] = 0

    found = certify(files_of(changed(graph, "/nudge", change))[extension])
    assert found.verdict is Verdict.FAIL
    assert "tie" in found.text


@pytest.mark.parametrize("extension", [".tflite", ".onnx"])
def test_float32_that_is_given_out_is_no_code(net_builder, extension):
    graph, _ = exact_of(net_builder, "gate")
    (index,) = [i for i, t in enumerate(graph.tensors) if t.name == "gated/nudged"]
    found = certify(files_of(replace(graph, outputs=(index,)).pruned())[extension])
    assert found.verdict is Verdict.FAIL


@pytest.mark.parametrize("extension", [".tflite", ".onnx"])
def test_another_scale_of_a_gate_is_caught(net_builder, extension):
    graph, _ = exact_of(net_builder, "gate")
    (index,) = [i for i, t in enumerate(graph.tensors) if t.name == "gated"]
    quant = QuantParams.per_tensor(float(graph.tensors[index].quant.scale[0]) * 1.37, 0)
    bent = graph.with_tensors({index: replace(graph.tensors[index], quant=quant)})
    assert certify(files_of(bent)[extension]).verdict is Verdict.FAIL
