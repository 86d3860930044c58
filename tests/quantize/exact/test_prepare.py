"""Rewriting keeps the float function; what has no exact form is refused by its layer's name."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.exact.arithmetic import KERNELS
from mnist_export.quantize.exact.prepare import prepare
from mnist_export.quantize.ranges.calibration import run_activations

UNIT = InputRange()


def answers(graph, images, input_range):
    runs = run_activations(graph, images, input_range=input_range)
    return np.concatenate([values[graph.outputs[0]].copy() for values in runs])


def images_of(shape, count=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def same_function(graph, shape, input_range=UNIT):
    prepared = prepare(graph, input_range)
    images = images_of(shape)
    expected = answers(graph, images, input_range)
    found = answers(prepared.graph, images, prepared.input_range)
    # float32 sums in another order: a few units in the last place of the largest value
    np.testing.assert_allclose(found, expected, atol=2e-5 * max(1.0, np.abs(expected).max()))
    assert {op.kind for op in prepared.graph.ops} <= set(KERNELS)
    return prepared


def norm_net(net_builder, *, same, pooled=False, signs=(1.0, 1.0)):
    net = net_builder((8, 8, 1), seed=1)
    x = net.conv(0, 4, name="first")
    if pooled:
        x = net.pool(x)
    gain = net.rng.uniform(0.3, 2, 4) * np.array([*signs, 1, 1])
    x = net.affine(x, gain, net.rng.normal(0, 1, 4))
    x = net.conv(x, 3, same=same, name="second")
    return net.graph(net.dense(net.flatten(x), 5))


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("signs", [(1.0, 1.0), (-1.0, 0.0)])
@pytest.mark.parametrize("same", [False, True])
def test_normalization_after_the_activation_keeps_its_function(net_builder, same, signs, pooled):
    same_function(norm_net(net_builder, same=same, signs=signs, pooled=pooled), (8, 8, 1))


def test_normalization_folds_away_before_a_convolution_without_padding(net_builder):
    prepared = same_function(norm_net(net_builder, same=False), (8, 8, 1))
    assert "DEPTHWISE_CONV_2D" not in {op.kind for op in prepared.graph.ops}


def test_normalization_before_padding_becomes_one_depthwise_layer_of_ones(net_builder):
    prepared = same_function(norm_net(net_builder, same=True, signs=(-1.0, 1.0)), (8, 8, 1))
    (depthwise,) = [op for op in prepared.graph.ops if op.kind == "DEPTHWISE_CONV_2D"]
    assert set(np.unique(prepared.graph.tensors[depthwise.inputs[1]].data)) == {-1.0, 1.0}


@pytest.mark.parametrize("kind", ["average", "global"])
def test_average_pools_become_depthwise_convolutions(net_builder, kind):
    net = net_builder((9, 9, 2), seed=2)
    x = net.conv(0, 4)
    x = net.flatten(net.pool(x, "AVERAGE_POOL_2D", 3, stride=3)) if kind == "average" else net.mean(x)
    prepared = same_function(net.graph(net.dense(x, 5)), (9, 9, 2))
    assert len(prepared.averaging) == 1


@pytest.mark.parametrize("bounds", [(0, 255), (-1, 1), (0.5, 1.5), (-0.5, 3)])
def test_every_input_range_gives_the_same_function(net_builder, bounds):
    net = net_builder((8, 8, 1), seed=3)
    x = net.conv(0, 4, same=False)
    same_function(net.graph(net.dense(net.flatten(x), 5)), (8, 8, 1), InputRange(lo=bounds[0], hi=bounds[1]))


def test_an_input_range_between_pixels_is_said_where_it_meets_padding(net_builder):
    net = net_builder((8, 8, 1), seed=3)
    graph = net.graph(net.dense(net.flatten(net.conv(0, 4)), 5))
    assert any("conv" in note for note in prepare(graph, InputRange(lo=-1, hi=1)).notes)
    assert not prepare(graph, UNIT).notes


def test_a_range_that_does_not_hold_0_before_padding_gets_a_layer_of_its_own(net_builder):
    net = net_builder((8, 8, 1), seed=3)
    graph = net.graph(net.dense(net.flatten(net.conv(0, 4)), 5))
    same_function(graph, (8, 8, 1), InputRange(lo=0.5, hi=1))


def test_the_input_takes_pixels_as_they_are(net_builder):
    net = net_builder((8, 8, 1))
    graph = net.graph(net.dense(net.flatten(net.conv(0, 4)), 5))
    prepared = prepare(graph, UNIT)
    assert float(prepared.input_quant.scale[0]) == 1 / 256
    assert int(prepared.input_quant.zero_point[0]) == -128
    assert prepared.input_range.params_int8().scale[0] == np.float32(1 / 256)


def test_a_residual_of_the_input_itself_gets_a_scale_of_its_own(net_builder):
    net = net_builder((8, 8, 3), seed=4)
    x = net.add(0, net.conv(0, 3, act=0), act=1)
    same_function(net.graph(net.dense(net.mean(x), 5)), (8, 8, 3))


@pytest.mark.parametrize(
    ("kind", "options_type", "options"),
    [
        ("SOFTMAX", "SoftmaxOptions", {"beta": 1.0}),
        ("L2_NORMALIZATION", "L2NormOptions", {}),
        ("ROUND", "", None),
    ],
)
def test_layers_without_an_exact_form_are_refused_by_name(net_builder, kind, options_type, options):
    net = net_builder((8, 8, 1))
    x = net.conv(0, 4)
    if options is None:  # a function of two tensors
        x = net.op("SQUARED_DIFFERENCE", "strange_layer", (x, net.conv(0, 4)), net.shape(x))
    else:
        x = net.op(kind, "strange_layer", (x,), net.shape(x), options_type, **options)
    graph = net.graph(net.dense(net.mean(x), 5))
    with pytest.raises(UnsupportedError, match="strange_layer"):
        prepare(graph, UNIT)


def test_what_follows_a_relu_6_of_its_own_keeps_its_function(net_builder):
    net = net_builder((8, 8, 1), seed=5)
    x = net.op("RELU6", "bounded", (net.conv(0, 4, act=0),), (8, 8, 4))
    same_function(net.graph(net.dense(net.mean(x), 5)), (8, 8, 1))
