"""Rewrites before quantization: the same float function, to float32's rounding."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from mnist_export.core.graph import Op
from mnist_export.core.kinds import Precision
from mnist_export.quantize.rewrites import prepare
from mnist_export.quantize.rewrites.affine_after_activation import affine_after_activation
from mnist_export.quantize.rewrites.average_as_depthwise import average_as_depthwise
from mnist_export.quantize.rewrites.merge_dense import merge_dense
from mnist_export.quantize.rewrites.shift_into_next import shift_into_next


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


def averaging(net_builder, name, seed=3):
    net = net_builder((9, 9, 3), seed=seed)
    x = net.conv(0, 4, name="first")
    if name == "global":
        axes = net.constant("axes", [1, 2], np.int32)
        x = net.op("MEAN", "mean", (x, axes), (4,), "ReducerOptions", keepDims=False)
        return net.graph(net.dense(x, 6))
    size = 3 if name == "3x3" else 2
    return net.graph(net.dense(net.flatten(net.pool(x, "AVERAGE_POOL_2D", size=size)), 6))


@pytest.mark.parametrize("name", ["2x2", "3x3"])
def test_averages_become_convolutions_that_both_runtimes_round_alike(
    net_builder, in_int8, litert, onnxruntime_run, codes, same_function, name
):
    graph = averaging(net_builder, name)
    made, applied = prepare(graph)
    network = in_int8(made).graph
    inputs = codes(network, 64)

    same_function(graph, made)
    assert [a.name for a in applied] == ["average_as_depthwise"]
    assert "DEPTHWISE_CONV_2D" in kinds(made)
    np.testing.assert_array_equal(litert(network, inputs), onnxruntime_run(network, inputs))


@pytest.mark.parametrize("seed", range(5))
def test_a_mean_over_the_map_stays_and_is_rounded_alike_by_its_scale(
    net_builder, in_int8, litert, onnxruntime_run, codes, seed
):
    graph = averaging(net_builder, "global", seed)
    made, applied = prepare(graph)
    network = in_int8(made).graph
    inputs = codes(network, 512)

    assert applied == ()
    np.testing.assert_array_equal(litert(network, inputs), onnxruntime_run(network, inputs))


def test_averages_as_they_come_are_a_step_apart(net_builder, in_int8, litert, onnxruntime_run, codes):
    network = in_int8(averaging(net_builder, "2x2")).graph  # of 4 values, often half a step
    inputs = codes(network, 64)

    assert (litert(network, inputs) != onnxruntime_run(network, inputs)).any()


def test_averages_stay_where_nothing_computes_in_int8(net_builder):
    graph = averaging(net_builder, "2x2")

    assert prepare(graph, Precision.FLOAT32)[0] is graph


def test_an_average_that_divides_by_less_at_the_border_stays(net_builder):
    net = net_builder((9, 9, 3))
    graph = net.graph(net.dense(net.flatten(net.pool(0, "AVERAGE_POOL_2D", size=2, same=True)), 4))

    assert average_as_depthwise(graph) is graph


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (2, 2)])
@pytest.mark.parametrize("act", [0, 1])
def test_an_average_over_padding_gets_a_factor_for_each_position(
    net_builder, in_int8, litert, onnxruntime_run, codes, same_function, size, stride, act
):
    net = net_builder((9, 9, 3), seed=2)
    x = net.conv(0, 4, act=0, name="first")
    x = net.pool(x, "AVERAGE_POOL_2D", size=size, stride=stride, same=True)
    net.ops[-1] = replace(
        net.ops[-1], options=MappingProxyType(dict(net.ops[-1].options) | {"fusedActivationFunction": act})
    )
    graph = net.graph(net.dense(net.flatten(x), 4))
    made, applied = prepare(graph)
    network = in_int8(made).graph
    inputs = codes(network, 256)

    same_function(graph, made)
    assert [a.name for a in applied] == ["padded_average"]
    np.testing.assert_array_equal(litert(network, inputs), onnxruntime_run(network, inputs))


def test_the_factors_of_a_common_pool_are_exact_in_int8(net_builder, in_int8):
    net = net_builder((9, 9, 3))
    x = net.pool(net.conv(0, 4), "AVERAGE_POOL_2D", size=3, stride=1, same=True)
    network = in_int8(prepare(net.graph(net.dense(net.flatten(x), 4)))[0]).graph
    factors = next(t for t in network.tensors if t.name.endswith("/factors"))

    np.testing.assert_allclose(np.unique(factors.real()), [1, 1.5, 2.25], rtol=1e-6)


def test_a_rewritten_average_can_be_kept_in_float_by_its_name(net_builder, in_int8):
    graph = prepare(averaging(net_builder, "2x2"))[0]
    network = in_int8(graph, keep_float=("pool",)).graph
    kept = next(op for op in network.ops if op.kind == "DEPTHWISE_CONV_2D")

    assert network.tensors[kept.outputs[0]].dtype == np.float32


@pytest.mark.parametrize("name", ["2x2", "3x3", "global"])
def test_averages_of_a_quantized_network_move_by_their_rounding_alone(
    net_builder, in_int8, litert, onnxruntime_run, codes, name
):
    before = in_int8(averaging(net_builder, name)).graph
    after = average_as_depthwise(before)
    inputs = codes(before, 64)
    found = litert(after, inputs)

    assert "DEPTHWISE_CONV_2D" in kinds(after)
    np.testing.assert_array_equal(found, onnxruntime_run(after, inputs))
    assert np.abs(found.astype(int) - litert(before, inputs)).max() <= 4  # a step each, through a layer
    assert not any(after.tensors[i].dtype == np.float32 for op in after.ops for i in op.inputs)


def test_a_change_of_scale_behind_an_average_is_the_convolutions_own(
    net_builder, in_int8, litert, onnxruntime_run, codes
):
    plain = in_int8(averaging(net_builder, "2x2")).graph
    pool = next(op for op in plain.ops if op.kind == "AVERAGE_POOL_2D")
    pooled = plain.tensors[pool.outputs[0]]
    scaled = replace(pooled, name="scaled")  # the same scale, as layers behind it expect that one
    index = len(plain.tensors)
    ops = []
    for op in plain.ops:
        ops.append(replace(op, inputs=tuple(index if i == pool.outputs[0] else i for i in op.inputs)))
        if op is pool:
            ops.append(Op(kind="QUANTIZE", inputs=pool.outputs, outputs=(index,)))
    before = replace(plain, tensors=(*plain.tensors, scaled), ops=tuple(ops))
    after = average_as_depthwise(before)
    made = next(op for op in after.ops if op.kind == "DEPTHWISE_CONV_2D")
    inputs = codes(before, 64)

    assert "QUANTIZE" not in kinds(after)
    assert after.tensors[made.outputs[0]].name == "scaled"
    np.testing.assert_array_equal(litert(after, inputs), onnxruntime_run(after, inputs))
