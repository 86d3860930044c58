"""Rewrites before quantization: the same float function, to float32's rounding."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.quantize.rewrites import prepare
from mnist_export.quantize.rewrites.affine_after_activation import affine_after_activation
from mnist_export.quantize.rewrites.merge_dense import merge_dense
from mnist_export.quantize.rewrites.shift_into_next import shift_into_next

TOLERANCE = 1e-5
"""Outputs are near 1; sums of some hundred products in another order differ by some 2**-24 of that."""


@pytest.fixture
def same_function(litert):
    def check(before, after):
        shape = before.tensors[0].shape[1:]
        inputs = np.random.default_rng(3).uniform(-1, 1, (6, *shape)).astype(np.float32)
        kernels = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
        one, two = litert(before, inputs, kernels), litert(after, inputs, kernels)
        np.testing.assert_allclose(two, one, atol=TOLERANCE * max(1.0, np.abs(one).max()))

    return check


def kinds(graph):
    return [op.kind for op in graph.ops]


def normalized(net_builder, gain, shift, act):
    net = net_builder((8, 8, 2))
    x = net.affine(net.conv(0, len(gain), act=act, name="first"), gain, shift)
    x = net.conv(x, 3, name="second")
    return net.graph(net.dense(net.flatten(x), 4))


@pytest.mark.parametrize("act", [0, 1, 2, 3])
def test_a_normalization_with_positive_scales_becomes_a_clip(net_builder, same_function, act):
    graph = normalized(net_builder, [0.5, 2.0, 1.0, 0.1], [0.3, -0.2, 0.0, 1.0], act)
    made = affine_after_activation(graph)

    same_function(graph, made)
    bounds = {0: [], 1: ["MAXIMUM"], 2: ["MAXIMUM", "MINIMUM"], 3: ["MAXIMUM", "MINIMUM"]}[act]
    assert kinds(made)[: 1 + len(bounds) + 1] == ["CONV_2D", *bounds, "CONV_2D"]


def test_negative_and_zero_scales_bound_from_above_and_from_both_sides(net_builder, same_function):
    graph = normalized(net_builder, [0.5, -2.0, 0.0, -0.1], [0.3, -0.2, 0.7, 1.0], 1)
    made = affine_after_activation(graph)

    same_function(graph, made)
    assert kinds(made)[:3] == ["CONV_2D", "MAXIMUM", "MINIMUM"]


def test_a_scale_alone_keeps_the_relu(net_builder, same_function):
    graph = normalized(net_builder, [0.5, 2.0], [0.0, 0.0], 1)
    made = affine_after_activation(graph)

    same_function(graph, made)
    assert kinds(made)[:2] == ["CONV_2D", "CONV_2D"]
    assert made.ops[0].options["fusedActivationFunction"] == 1


def test_quantized_the_clip_is_closer_to_the_original_than_two_roundings(net_builder, in_int8, litert):
    rng = np.random.default_rng(0)
    graph = normalized(net_builder, rng.uniform(0.3, 2, 16), rng.normal(0, 0.5, 16), 1)
    pixels = rng.integers(0, 255, (64, 8, 8, 2), endpoint=True, dtype=np.uint8)
    reference = litert(graph, pixels / np.float32(255))

    def error(form):
        model = in_int8(form)
        found = litert(model.graph, (pixels.astype(np.int16) - 128).astype(np.int8))
        return np.square(model.output_quant.dequantize(found) - reference).mean()

    assert error(affine_after_activation(graph)) < error(graph)


def test_a_range_behind_a_clip_is_the_clips_own(net_builder, in_int8):
    graph = affine_after_activation(normalized(net_builder, [1.0, 1.0], [0.0, 0.5], 1))
    quantized = in_int8(graph).graph
    before, after = (quantized.tensors[op.outputs[0]] for op in quantized.ops[:2])

    assert (before.quant.scale, before.quant.zero_point) == (after.quant.scale, after.quant.zero_point)
    assert before.quant.zero_point[0] == -128  # nothing under 0 is ever read


def test_a_shift_passes_pools_and_flatten_into_unpadded_layers(net_builder, same_function):
    net = net_builder((10, 10, 2))
    x = net.affine(net.conv(0, 3, name="first"), [0.5, 2.0, 1.5], [0.3, -0.2, 1.0])
    x = net.conv(net.pool(x), 4, same=False, name="second")
    x = net.affine(x, [1.0] * 4, [0.1, 0.2, 0.3, 0.4], name="norm2")
    graph = net.graph(net.dense(net.flatten(x), 4))
    made, applied = prepare(graph)

    same_function(graph, made)
    assert [a.name for a in applied] == ["shift_into_next", "affine_after_activation"]
    assert kinds(made) == ["CONV_2D", "MAX_POOL_2D", "CONV_2D", "RESHAPE", "FULLY_CONNECTED"]


def test_a_shift_stays_before_padding(net_builder):
    graph = normalized(net_builder, [1.0, 1.0], [0.3, -0.2], 1)

    assert shift_into_next(graph) is graph


def test_linear_dense_layers_become_one(net_builder, same_function):
    net = net_builder((6, 6, 1))
    x = net.dense(net.dense(net.flatten(0), 64, name="a"), 32, name="b")
    graph = net.graph(net.dense(x, 5, name="c"))
    made = merge_dense(graph)

    same_function(graph, made)
    assert kinds(made) == ["RESHAPE", "FULLY_CONNECTED"]


def test_dense_layers_with_an_activation_or_a_narrow_middle_stay(net_builder):
    net = net_builder((6, 6, 1))
    active = net.graph(net.dense(net.dense(net.flatten(0), 64, act=1, name="a"), 5, name="b"))
    net = net_builder((6, 6, 1))
    narrow = net.graph(net.dense(net.dense(net.flatten(0), 2, name="a"), 30, name="b"))

    assert merge_dense(active) is active
    assert merge_dense(narrow) is narrow


def test_nothing_to_do_gives_the_very_same_graph(lenet_graph):
    made, applied = prepare(lenet_graph)

    assert made is lenet_graph
    assert applied == ()
