"""Activations and maps of single values: the same float function, the same integers in every runtime."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.kinds import Precision
from mnist_export.quantize.rewrites import Target, prepare, rewrite_for
from mnist_export.quantize.rewrites.activations_as_maps import activations_as_maps
from mnist_export.quantize.rewrites.drop_idle_clips import drop_idle_clips
from mnist_export.quantize.rewrites.pointwise_as_depthwise import pointwise_as_depthwise

CHANNELS = 4


def slopes(values):
    def build(net, x):
        constant = net.constant("slopes", values(net.shape(x)))
        return net.op("PRELU", "slope", (x, constant), net.shape(x))

    return build


def unary(kind, options_type="", **options):
    return lambda net, x: net.op(kind, f"act{x}", (x,), net.shape(x), options_type, **options)


ACTIVATIONS = {
    "hard swish": unary("HARD_SWISH"),
    "leaky relu": unary("LEAKY_RELU", "LeakyReluOptions", alpha=0.3),
    "leaky relu above one": unary("LEAKY_RELU", "LeakyReluOptions", alpha=1.5),
    "prelu by channel": slopes(lambda shape: np.linspace(-0.2, 0.9, shape[-1]).reshape(1, 1, -1)),
    "prelu by row": slopes(lambda shape: np.linspace(-0.2, 0.9, shape[0]).reshape(-1, 1, 1)),
    "prelu by element": slopes(lambda shape: np.linspace(-0.3, 0.8, int(np.prod(shape))).reshape(shape)),
    "neg": unary("NEG"),
}


def with_activation(net_builder, build, seed=0):
    """An activation on a map and, where it is of one number, on a dense layer too."""
    net = net_builder((8, 8, 2), seed=seed)
    x = build(net, net.conv(0, 8, act=0, name="first"))  # as many channels as rows
    again = build in {ACTIVATIONS[name] for name in ("hard swish", "leaky relu", "neg")}
    x = net.dense(net.flatten(net.conv(x, 3, act=0, name="second")), 12, act=int(not again), name="inner")
    if again:
        x = build(net, x)
    return net.graph(net.dense(x, 5))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_keep_their_function_and_are_rounded_alike(
    net_builder, in_int8, litert, onnxruntime_run, codes, same_function, name
):
    graph = with_activation(net_builder, ACTIVATIONS[name])
    made, applied = prepare(graph)
    network = in_int8(made).graph
    inputs = codes(network, 256)

    same_function(graph, made)
    assert applied[0].name == "activations_as_maps"
    np.testing.assert_array_equal(litert(network, inputs), onnxruntime_run(network, inputs))


def test_a_leaky_relu_as_it_comes_parts_the_runtimes(net_builder, in_int8, litert, onnxruntime_run, codes):
    network = in_int8(with_activation(net_builder, ACTIVATIONS["leaky relu"])).graph
    inputs = codes(network, 64)

    assert (litert(network, inputs) != onnxruntime_run(network, inputs)).any()


def test_a_prelu_with_slopes_on_both_sides_of_one_is_refused_by_its_name(net_builder, in_int8):
    graph = with_activation(net_builder, slopes(lambda shape: np.linspace(0.5, 1.5, shape[-1])))

    assert activations_as_maps(graph) is graph
    with pytest.raises(UnsupportedError, match=r"layer 'slope' uses the operator PRELU.*float=\[.slope"):
        in_int8(graph)


def test_activations_stay_where_nothing_computes_in_int8(net_builder):
    graph = with_activation(net_builder, ACTIVATIONS["hard swish"])

    assert prepare(graph, Precision.FLOAT32)[0] is graph


def preactivated(net_builder, *, clip="fused"):
    """A normalization and a ReLU behind a concatenation, as dense networks have them."""
    net = net_builder((8, 8, 2), seed=3)
    joined = net.concatenate(net.conv(0, 2, name="a"), net.conv(0, 2, name="b"))
    rng = np.random.default_rng(5)
    gain, shift = rng.uniform(-2, 2, CHANNELS), rng.normal(0, 0.5, CHANNELS)
    x = net.op(
        "MUL", "norm/mul", (joined, net.constant("gain", gain)), net.shape(joined), "MulOptions",
        fusedActivationFunction=0,
    )  # fmt: skip
    x = net.op(
        "ADD", "norm", (x, net.constant("shift", shift)), net.shape(x), "AddOptions",
        fusedActivationFunction=int(clip == "fused"),
    )  # fmt: skip
    if clip != "fused":
        x = net.op(clip, "clip", (x,), net.shape(x))
    return net.graph(net.dense(net.flatten(net.conv(x, 3, name="second")), 5))


@pytest.mark.parametrize("clip", ["fused", "RELU6"])
def test_a_normalization_behind_a_concatenation_becomes_one_convolution(
    net_builder, in_int8, litert, onnxruntime_run, codes, same_function, clip
):
    graph = preactivated(net_builder, clip=clip)
    made, applied = prepare(graph)
    network = in_int8(made).graph
    inputs = codes(network, 256)

    same_function(graph, made)
    assert [a.name for a in applied] == ["pointwise_as_depthwise"]
    assert [op.kind for op in made.ops][2:5] == ["CONCATENATION", "DEPTHWISE_CONV_2D", "CONV_2D"]
    np.testing.assert_array_equal(litert(network, inputs), onnxruntime_run(network, inputs))


def test_maps_that_the_layer_before_can_take_are_left_to_it(net_builder):
    net = net_builder((8, 8, 2))
    x = net.affine(net.conv(0, 3, name="first"), [0.5, 2.0, 1.5], [0.3, -0.2, 1.0])
    graph = net.graph(net.dense(net.flatten(x), 4))

    assert pointwise_as_depthwise(graph) is graph


def test_the_gate_of_a_hard_swish_needs_no_comparison(net_builder, in_int8, litert, codes):
    model = in_int8(prepare(with_activation(net_builder, ACTIVATIONS["hard swish"]))[0])
    made, applied = rewrite_for(model, Target.LITERT)
    inputs = codes(model.graph, 32)
    clips = [op for op in made.graph.ops if op.kind == "MINIMUM"]

    assert "drop_idle_clips" in {a.name for a in applied}
    assert not clips
    np.testing.assert_array_equal(litert(made.graph, inputs), litert(model.graph, inputs))


@pytest.mark.parametrize(("kind", "bound", "idle"), [
    ("MINIMUM", 127, True), ("MINIMUM", 126, False), ("MAXIMUM", -128, True), ("MAXIMUM", -127, False),
])  # fmt: skip
def test_a_comparison_is_dropped_where_no_code_passes_its_bound(kind, bound, idle):
    quant = QuantParams.per_tensor(0.1, 0)
    int8 = np.dtype(np.int8)
    entry = Tensor(name="image", shape=(-1, 2, 2, 1), dtype=int8, quant=quant)
    limit = Tensor(name="limit", shape=(1,), dtype=int8, data=np.array([bound], np.int8), quant=quant)
    tensors = (entry, limit, replace(entry, name="clipped"), replace(entry, name="logits", shape=(-1, 4)))
    ops = (
        Op(kind=kind, inputs=(0, 1), outputs=(2,), options_type="MaximumMinimumOptions"),
        Op(kind="RESHAPE", inputs=(2,), outputs=(3,)),
    )
    graph = Graph(tensors=tensors, ops=ops, inputs=(0,), outputs=(3,))
    made = drop_idle_clips(graph)

    assert [op.kind for op in made.ops] == (["RESHAPE"] if idle else [kind, "RESHAPE"])
    assert (made is graph) != idle
    at_the_end = replace(graph, ops=ops[:1], outputs=(2,))
    assert drop_idle_clips(at_the_end) is at_the_end
