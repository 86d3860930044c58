"""Cropping, clips in blocks, reshapes, and the whole of a target's rewrites."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.errors import ConversionError, InputError
from mnist_export.core.kinds import Format, Precision
from mnist_export.export.rewriting import target_for
from mnist_export.quantize import SchemeConfig, quantize
from mnist_export.quantize.rewrites import (
    REWRITES,
    Block,
    Rewrite,
    Stage,
    Target,
    prepare,
    rewrite_for,
)
from mnist_export.quantize.rewrites.block import never
from mnist_export.quantize.rewrites.crop_unread import crop_unread
from mnist_export.quantize.rewrites.merge_reshapes import merge_reshapes
from mnist_export.quantize.rewrites.proof import prove
from mnist_export.quantize.rewrites.rewrite import run


@pytest.fixture
def deep_graph(net_builder):
    """Two blocks of two convolutions with a normalization, on an odd map whose pool leaves a row out."""
    rng = np.random.default_rng(4)
    net = net_builder((14, 14, 1))
    x = net.conv(0, 8, name="conv1a")
    x = net.affine(x, rng.uniform(0.5, 2, 8), rng.normal(0, 0.3, 8), name="norm1")
    x = net.pool(net.conv(x, 8, name="conv1b"), name="pool1")
    x = net.affine(net.conv(x, 16, name="conv2a"), rng.uniform(0.5, 2, 16), rng.normal(0, 0.3, 16), name="n2")
    x = net.pool(net.conv(x, 16, name="conv2b"), name="pool2")
    return prepare(net.graph(net.dense(net.flatten(x), 10)))[0]


@pytest.mark.parametrize("target", [Target.LITERT, Target.ONNXRUNTIME])
@pytest.mark.parametrize("name", ["lenet_graph", "deep_graph"])
def test_every_runtime_gives_the_plain_forms_integers(
    request, in_int8, litert, onnxruntime_run, codes, name, target
):
    model = in_int8(request.getfixturevalue(name))
    made, applied = rewrite_for(model, target)
    inputs = codes(model.graph, 32)
    expected = litert(model.graph, inputs)

    assert "block_convolution" in {a.name for a in applied}
    np.testing.assert_array_equal(litert(made.graph, inputs), expected)
    for channels_last in (False, True):
        np.testing.assert_array_equal(
            onnxruntime_run(made.graph, inputs, channels_last=channels_last), expected
        )


@pytest.mark.parametrize("target", [Target.LITERT, Target.ONNXRUNTIME])
@pytest.mark.parametrize("shape", [(28, 28), (784,)])
def test_an_image_without_channels_goes_into_blocks_at_once(
    net_builder, in_int8, litert, onnxruntime_run, codes, shape, target
):
    net = net_builder(shape)
    sizes = net.constant("sizes", [-1, 28, 28, 1], np.int32)
    x = net.op("RESHAPE", "channels", (0, sizes), (28, 28, 1), "ReshapeOptions", newShape=[-1, 28, 28, 1])
    x = net.pool(net.conv(x, 6, 5))
    model = in_int8(net.graph(net.dense(net.flatten(x), 4)))
    made, _ = rewrite_for(model, target)
    inputs = codes(model.graph)

    assert made.graph.tensors[made.graph.ops[0].outputs[0]].shape == (-1, 28, 7, 4)
    np.testing.assert_array_equal(litert(made.graph, inputs), litert(model.graph, inputs))
    np.testing.assert_array_equal(
        onnxruntime_run(made.graph, inputs, channels_last=True), litert(model.graph, inputs)
    )


def test_the_plain_form_stays_with_portable_and_in_other_precisions(lenet_graph, in_int8):
    model = in_int8(lenet_graph)
    wide = in_int8(lenet_graph, precision=Precision.INT16X8)

    assert rewrite_for(model, Target.PORTABLE) == (model, ())
    assert rewrite_for(wide, Target.LITERT) == (wide, ())
    floats = quantize(lenet_graph, SchemeConfig(precision=Precision.FLOAT32))
    assert rewrite_for(floats, Target.ONNXRUNTIME) == (floats, ())


def test_a_model_says_what_was_rewritten(lenet_graph, in_int8):
    made, applied = rewrite_for(in_int8(lenet_graph), Target.ONNXRUNTIME)

    assert made.rewrites == ("block_convolution", "merge_reshapes")
    assert "conv1" in applied[0].layers
    assert applied[0].sentence().startswith("block_convolution at conv1, pool1")
    assert applied[0].operators[0] == len(in_int8(lenet_graph).graph.ops)


def test_the_same_model_is_rewritten_to_the_same_graph(lenet_graph, in_int8):
    one, two = (rewrite_for(in_int8(lenet_graph), Target.LITERT)[0].graph for _ in range(2))

    assert [t.name for t in one.tensors] == [t.name for t in two.tensors]
    for left, right in zip(one.tensors, two.tensors, strict=True):
        assert (left.data is None) == (right.data is None)
        if left.data is not None:
            np.testing.assert_array_equal(left.data, right.data)


def test_rows_that_no_pool_reads_are_not_computed(deep_graph, in_int8, litert, codes):
    graph = in_int8(deep_graph).graph
    made = crop_unread(graph)
    inputs = codes(graph)
    (pad,) = [op for op in made.ops if op.kind == "PAD"]
    conv = made.consumers(pad.outputs[0])[0]

    assert made.tensors[conv.outputs[0]].shape[1:3] == (6, 6)  # of 7x7
    np.testing.assert_array_equal(litert(made, inputs), litert(graph, inputs))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "same", "pool", "pool_stride"),
    [
        s
        for s in itertools.product((7, 9, 11), (1, 2, 3, 5), (1, 2), (True, False), (2, 3), (2, 3))
        if s[0] > 7
    ],
)
def test_cropping_keeps_every_integer(
    net_builder, in_int8, litert, codes, size, kernel, stride, same, pool, pool_stride
):
    net = net_builder((size, size, 2))
    x = net.conv(0, 3, kernel, stride=stride, same=same)
    if min(net.shape(x)[:2]) < pool:
        x = net.conv(0, 3, kernel, same=True, name="wider")
    x = net.pool(x, size=pool, stride=pool_stride)
    graph = in_int8(net.graph(net.dense(net.flatten(x), 3))).graph
    inputs = codes(graph, 3)

    np.testing.assert_array_equal(litert(crop_unread(graph), inputs), litert(graph, inputs))


def test_a_pool_that_reads_everything_leaves_the_graph_alone(lenet_graph, in_int8):
    graph = in_int8(lenet_graph).graph

    assert crop_unread(graph) is graph
    assert merge_reshapes(graph) is graph


def test_clips_move_into_the_blocks(deep_graph, in_int8):
    made, applied = rewrite_for(in_int8(deep_graph), Target.ONNXRUNTIME)
    clip = next(op for op in made.graph.ops if op.kind == "MAXIMUM")
    conv = made.graph.producer(clip.inputs[0])

    assert "clip_in_blocks" in {a.name for a in applied}
    assert conv.kind == "CONV_2D"
    assert made.graph.tensors[clip.inputs[1]].data.size == made.graph.tensors[conv.outputs[0]].shape[3]


def test_a_wrong_rewrite_is_caught_by_the_check(lenet_graph, in_int8):
    model = in_int8(lenet_graph)
    graph = model.graph
    weights = graph.ops[0].inputs[1]
    data = graph.tensors[weights].data.copy()
    data[0, 2, 2, 0] ^= 64
    damaged = graph.with_tensors({weights: replace(graph.tensors[weights], data=data)})

    with pytest.raises(ConversionError, match=r"a test: expected the same outputs .* integers that differ"):
        prove(graph, damaged, "a test")
    prove(graph, graph, "a test")


def test_a_rewrite_that_drops_an_operator_or_changes_the_output_is_caught(lenet_graph):
    def without_first(graph, choose):
        return replace(graph, ops=graph.ops[1:])

    def renamed(graph, choose):
        index = graph.outputs[0]
        return graph.with_tensors({index: replace(graph.tensors[index], name="other")})

    for function, words in ((without_first, "read before it is written"), (renamed, "inputs and outputs")):
        rewrite = Rewrite(name="bad", stage=Stage.FLOAT, summary="", apply=function)
        with pytest.raises(ConversionError, match=f"'bad'.*{words}"):
            run(rewrite, lenet_graph, never)


def test_every_registered_rewrite_is_called_by_its_name():
    for name in REWRITES:
        assert REWRITES.get(name).name == name
        assert REWRITES.get(name).summary


def test_each_format_has_its_own_runtime():
    assert target_for(Target.NATIVE, Format.TFLITE) == Target.LITERT
    assert target_for(Target.AUTO, Format.ONNX) == Target.ONNXRUNTIME
    assert target_for(Target.LITERT, Format.ONNX) == Target.LITERT
    assert target_for(Target.NATIVE, Format.C) == Target.PORTABLE


def test_blocks_of_nothing_are_refused():
    with pytest.raises(InputError, match="at least 1 row"):
        Block(rows=0)
    assert str(Block(rows=2, columns=4, gathered=True)) == "2x4 gathered"
