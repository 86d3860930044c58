"""Blocked convolutions in LiteRT and ONNX Runtime: every integer as it was."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.graph import Activation
from mnist_export.quantize.rewrites.block import Block, never
from mnist_export.quantize.rewrites.block_convolution import block_convolution, block_convolutions
from mnist_export.quantize.rewrites.block_site import candidates, following_pool, sizes


def conv_of(graph, number=0):
    return [op for op in graph.ops if op.kind == "CONV_2D"][number]


@pytest.mark.parametrize("number", [0, 1])
def test_every_candidate_gives_the_same_integers(lenet_graph, in_int8, litert, codes, number):
    graph = in_int8(lenet_graph).graph
    inputs = codes(graph)
    expected = litert(graph, inputs)
    blocks = candidates(graph, conv_of(graph, number))

    assert {str(b) for b in blocks} >= {"1x2", "2x2"}
    for block in blocks:
        made = block_convolution(graph, conv_of(graph, number), block)
        np.testing.assert_array_equal(litert(made, inputs), expected, err_msg=str(block))


@pytest.mark.parametrize(
    "block", [Block(rows=2, columns=4), Block(rows=2, columns=4, gathered=True)], ids=str
)
def test_onnx_runtime_gives_the_same_integers(lenet_graph, in_int8, litert, onnxruntime_run, codes, block):
    graph = in_int8(lenet_graph).graph
    inputs = codes(graph)
    made = block_convolution(graph, conv_of(graph), block)

    for channels_last in (False, True):
        found = onnxruntime_run(made, inputs, channels_last=channels_last)
        np.testing.assert_array_equal(found, litert(graph, inputs))


def test_kernels_of_every_kind_agree_on_the_blocked_form(lenet_graph, in_int8, litert, codes):
    graph = in_int8(lenet_graph).graph
    made = block_convolution(graph, conv_of(graph), Block(rows=2, columns=4))
    inputs = codes(graph)

    for kernels in ("AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_REF"):
        np.testing.assert_array_equal(litert(made, inputs, kernels), litert(graph, inputs, kernels))


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("activation", [Activation.NONE, Activation.RELU, Activation.RELU6])
def test_strides_and_activations_stay(net_builder, in_int8, litert, codes, same, activation):
    net = net_builder((16, 16, 3))
    x = net.conv(0, 5, 3 if same else 5, stride=2, same=same, act=int(activation))
    graph = in_int8(net.graph(net.dense(net.flatten(x), 4))).graph
    blocks = candidates(graph, conv_of(graph))
    inputs = codes(graph)

    assert blocks
    for block in blocks:
        made = block_convolution(graph, conv_of(graph), block)
        np.testing.assert_array_equal(litert(made, inputs), litert(graph, inputs), err_msg=str(block))


def test_a_float_graph_may_be_blocked_too(lenet_graph, litert):
    inputs = np.random.default_rng(0).uniform(0, 1, (4, 28, 28, 1)).astype(np.float32)
    made = block_convolution(lenet_graph, conv_of(lenet_graph), Block(columns=4))

    # Sums of 25 products in another order: a few units in the last place of values near 1.
    np.testing.assert_allclose(litert(made, inputs), litert(lenet_graph, inputs), atol=1e-5)


def test_pooled_outputs_lie_side_by_side_in_channels(lenet_graph, in_int8):
    graph = in_int8(lenet_graph).graph
    made = block_convolution(graph, conv_of(graph), Block(rows=2, columns=4))

    shapes = {op.kind: made.tensors[op.outputs[0]].shape for op in reversed(made.ops)}
    assert shapes["CONV_2D"] == (-1, 14, 7, 48)
    assert shapes["MAX_POOL_2D"] == (-1, 14, 7, 12)


def test_weights_are_the_old_ones_and_zeros(lenet_graph, in_int8):
    graph = in_int8(lenet_graph).graph
    conv = conv_of(graph)
    made = block_convolution(graph, conv, Block(rows=2, columns=4))
    old, new = graph.tensors[conv.inputs[1]], made.tensors[conv_of(made).inputs[1]]

    assert np.count_nonzero(new.data) == 8 * np.count_nonzero(old.data)
    np.testing.assert_array_equal(
        np.sort(new.data[new.data != 0]), np.sort(np.tile(old.data[old.data != 0], 8))
    )
    np.testing.assert_array_equal(new.quant.scale, np.tile(old.quant.scale, 8))


def test_the_plain_graph_is_left_alone(lenet_graph, in_int8):
    graph = in_int8(lenet_graph).graph
    before = (graph.ops, graph.tensors)
    block_convolution(graph, conv_of(graph), Block(rows=2, columns=4))

    assert (graph.ops, graph.tensors) == before
    assert block_convolutions(graph, never) is graph


def test_an_impossible_block_returns_the_graph_itself(lenet_graph, in_int8):
    graph = in_int8(lenet_graph).graph

    assert block_convolution(graph, conv_of(graph), Block(rows=1, columns=3)) is graph
    with pytest.raises(ValueError, match="1x3"):
        sizes(graph, conv_of(graph), Block(columns=3))


def test_a_result_that_is_read_twice_keeps_its_pool(net_builder, in_int8, litert, codes):
    net = net_builder((8, 8, 1))
    x = net.conv(0, 4)
    both = net.add(net.pool(x, name="one"), net.pool(x, name="two"))
    graph = in_int8(net.graph(net.dense(net.flatten(both), 3))).graph
    inputs = codes(graph)

    assert following_pool(graph, conv_of(graph)) is None
    for block in candidates(graph, conv_of(graph)):
        made = block_convolution(graph, conv_of(graph), block)
        np.testing.assert_array_equal(litert(made, inputs), litert(graph, inputs), err_msg=str(block))
