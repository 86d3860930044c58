"""Networks that another tool quantized: their sums and changes of scale in every runtime alike."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Op
from mnist_export.core.kinds import IoType, Precision
from mnist_export.core.pixels import InputRange
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.quantize.network.scheme import QuantizedModel
from mnist_export.quantize.rewrites import without_rounding_differences
from mnist_export.quantize.scales.rescaled import rescaled, without_ties
from mnist_export.quantize.scales.without_ties import distance_from_ties, error_bound

SIDE = 6


@pytest.fixture
def runtimes(litert):
    """Both runtimes' codes of one batch of random pixels."""

    def run(graph):
        import onnxruntime

        shape = graph.tensors[graph.inputs[0]].shape[1:]
        codes = np.random.default_rng(1).integers(-128, 128, (256, *shape), dtype=np.int8)
        session = onnxruntime.InferenceSession(
            write_onnx(graph, io=IoType.INT8), providers=["CPUExecutionProvider"]
        )
        return litert(graph, codes), session.run(None, {session.get_inputs()[0].name: codes})[0]

    return run


def residual(net_builder):
    net = net_builder((SIDE, SIDE, 2), seed=4)
    x = net.conv(0, 4, name="stem")
    for number in range(2):
        branch = net.conv(x, 4, act=0, name=f"branch{number}")
        x = net.add(x, branch, act=1, name=f"sum{number}")
    return net.graph(net.dense(net.flatten(x), 6))


def off_the_grid(graph):
    """The same network with scales as a training might leave them."""
    rng = np.random.default_rng(3)
    entry = graph.inputs[0]
    params = {}
    for index in graph.activations():
        quant = graph.tensors[index].quant
        factor = 1.0 if index == entry else rng.uniform(1.0, 1.3)
        params[index] = replace(quant, scale=(quant.scale * factor).astype(np.float32))
    for op in graph.ops:
        if op.kind == "RESHAPE":
            params[op.outputs[0]] = params[op.inputs[0]]
    return rescaled(graph, params)


def distances(graph):
    """Each sum's distance from the nearest tie, over the runtimes' error."""
    for op in graph.ops:
        if op.kind == "ADD":
            quants = [graph.tensors[i].quant for i in (*op.inputs, *op.outputs)]
            scales = [float(q.scale[0]) for q in quants]
            ratios = (scales[0] / scales[2], scales[1] / scales[2])
            points = (int(quants[0].zero_point[0]), int(quants[1].zero_point[0]))
            yield distance_from_ties(ratios, points) / error_bound(ratios)


def test_sums_of_a_trained_network_get_scales_without_ties(net_builder, in_int8, runtimes):
    before = off_the_grid(in_int8(residual(net_builder)).graph)
    after = without_ties(before)
    first, second = runtimes(after)

    assert min(distances(before)) < 1
    assert min(distances(after)) > 1
    np.testing.assert_array_equal(first, second)


def test_what_the_network_computes_stays(net_builder, in_int8, runtimes):
    before = off_the_grid(in_int8(residual(net_builder)).graph)
    after = without_ties(before)
    real = [g.tensors[g.outputs[0]].quant.dequantize(runtimes(g)[0]) for g in (before, after)]
    step = float(before.tensors[before.outputs[0]].quant.scale[0])

    assert np.abs(real[0] - real[1]).max() <= 4 * step
    assert np.abs(real[0] - real[1]).mean() < 0.5 * step
    for op in after.ops:
        weights = after.tensors[op.inputs[1]] if op.kind in {"CONV_2D", "FULLY_CONNECTED"} else None
        if weights is not None and weights.quant is not None:
            entry, bias = after.tensors[op.inputs[0]].quant, after.tensors[op.inputs[2]].quant
            np.testing.assert_array_equal(bias.scale, entry.scale * weights.quant.scale)


def test_scales_without_ties_stay(net_builder, in_int8):
    graph = in_int8(residual(net_builder)).graph

    assert without_ties(graph) is graph


def test_a_bias_that_two_layers_share_gets_each_ones_step(net_builder, in_int8):
    net = net_builder((SIDE, SIDE, 2), seed=6)
    first = net.conv(0, 2, name="first")
    graph = in_int8(net.graph(net.dense(net.flatten(net.conv(first, 2, name="second")), 3))).graph
    convolutions = [op for op in graph.ops if op.kind == "CONV_2D"]
    shared = convolutions[0].inputs[2]
    ops = tuple(
        replace(op, inputs=(*op.inputs[:2], shared)) if op is convolutions[1] else op for op in graph.ops
    )
    graph = replace(graph, ops=ops)
    inner = graph.tensors[convolutions[0].outputs[0]].quant
    wider = {convolutions[0].outputs[0]: replace(inner, scale=inner.scale * np.float32(2))}
    made = [op for op in rescaled(graph, wider).ops if op.kind == "CONV_2D"]

    assert made[0].inputs[2] != made[1].inputs[2]


def branches(net_builder, in_int8, rank):
    """A concatenation, one of whose branches changes its scale, as TensorFlow's converter writes them."""
    net = net_builder((SIDE, SIDE, 2), seed=5)
    left, right = net.conv(0, 3, name="left"), net.conv(0, 3, name="right")
    if rank == 2:
        left, right = net.flatten(left, name="flat_left"), net.flatten(right, name="flat_right")
        size = 2 * 3 * SIDE * SIDE
        joined = net.op(
            "CONCATENATION", "both", (left, right), (size,), "ConcatenationOptions",
            axis=1, fusedActivationFunction=0,
        )  # fmt: skip
    else:
        joined = net.flatten(net.concatenate(left, right))
    graph = in_int8(net.graph(net.dense(joined, 5))).graph
    names = ("left", "flat_left")
    own = QuantParams.per_tensor(1 / math.pi / 255, -128)
    tensors = [replace(t, quant=own) if t.name in names else t for t in graph.tensors]
    source = next(i for i, t in enumerate(tensors) if t.name == names[rank == 2])
    tensors.append(replace(graph.tensors[source], name="requantized"))
    ops = []
    for op in graph.ops:
        if op.kind == "CONCATENATION":
            ops.append(Op(kind="QUANTIZE", inputs=(source,), outputs=(len(tensors) - 1,)))
            ops.append(replace(op, inputs=(len(tensors) - 1, *op.inputs[1:])))
        else:
            ops.append(op)
    return replace(graph, tensors=tuple(tensors), ops=tuple(ops))


@pytest.mark.parametrize("rank", [4, 2])
def test_changes_of_scale_are_rounded_alike(net_builder, in_int8, runtimes, rank):
    graph = branches(net_builder, in_int8, rank)
    before = runtimes(graph)
    made = without_rounding_differences(
        QuantizedModel(
            graph=graph, precision=Precision.INT8, variant="qat", input_range=InputRange(lo=0.0, hi=1.0)
        )
    )
    after = runtimes(made.graph)

    assert (before[0] != before[1]).any()
    np.testing.assert_array_equal(after[0], after[1])
    assert "QUANTIZE" not in {op.kind for op in made.graph.ops}
    assert made.rewrites == ("requantize_as_depthwise",)
    assert "requantize_as_depthwise at requantized" in made.notes[0]
    assert np.abs(after[1].astype(int) - before[1]).max() <= 2
