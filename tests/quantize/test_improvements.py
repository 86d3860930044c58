"""Equalization, bias correction, learned rounding, and the overflow check."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.quantize import SchemeConfig, quantize
from mnist_export.quantize.diagnosis.overflow import check_overflow
from mnist_export.quantize.improving.adaround import RoundingConfig, adaround
from mnist_export.quantize.improving.bias_correction import correct_biases, mean_by_channel
from mnist_export.quantize.improving.equalization import equalize
from mnist_export.quantize.improving.preactivation import preactivation
from mnist_export.quantize.network.layers import weighted_ops
from mnist_export.quantize.network.simulate import run_logits, sqnr_db
from mnist_export.quantize.rewrites import prepare

Images = npt.NDArray[np.uint8]
PER_TENSOR = SchemeConfig(per_channel=False, per_channel_dense=False)


def test_equalization_keeps_the_function(tiny_graph: Graph, digits: Dataset, unit: InputRange) -> None:
    changed, pairs = equalize(tiny_graph)
    assert pairs == 3
    before = run_logits(tiny_graph, digits.test.images, input_range=unit)
    after = run_logits(changed, digits.test.images, input_range=unit)
    # Rescaling by factors that are no powers of two: a few roundings of the largest logit.
    assert np.abs(before - after).max() < 64 * np.spacing(np.float32(np.abs(before).max()))


def test_equalization_leaves_a_relu6_alone(tiny_graph: Graph) -> None:
    clipped = replace(
        tiny_graph,
        ops=tuple(
            replace(op, options=MappingProxyType({**op.options, "fusedActivationFunction": 3}))
            if op.kind == "CONV_2D"
            else op
            for op in tiny_graph.ops
        ),
    )
    assert equalize(clipped)[1] == 1  # dense1 to logits


def test_equalization_repairs_a_network_with_one_huge_channel(
    bad_graph: Graph, calibration: Images, digits: Dataset, unit: InputRange
) -> None:
    images = digits.test.images
    wanted = run_logits(bad_graph, images, input_range=unit)
    plain = quantize(bad_graph, PER_TENSOR, calibration).graph
    better = quantize(bad_graph, replace(PER_TENSOR, improvements=("equalize",)), calibration)
    assert sqnr_db(wanted, run_logits(plain, images, input_range=unit)) < 10
    assert sqnr_db(wanted, run_logits(better.graph, images, input_range=unit)) > 25
    assert "3 pairs" in better.notes[0]


def test_equalization_passes_the_clips_that_normalizations_leave(net_builder, unit: InputRange) -> None:
    net = net_builder((10, 10, 2))
    gain = np.array([0.002, 1.0, -30.0, 0.5])  # a normalization behind a ReLU, its channels far apart
    x = net.affine(net.conv(0, 4, name="first"), gain, gain * [0.1, -0.2, 0.3, 0.0])
    graph = net.graph(net.dense(net.flatten(net.conv(x, 4, same=False, name="second")), 6))
    reader = next(op for op in graph.ops if graph.tensors[op.outputs[0]].name == "second")
    weights = graph.tensors[reader.inputs[1]]
    even = replace(weights, data=(weights.real() / gain).astype(np.float32))  # all count alike in the end
    graph, _ = prepare(graph.with_tensors({reader.inputs[1]: even}))
    kinds = {op.kind for op in graph.ops}
    images = np.random.default_rng(4).integers(0, 255, (64, 10, 10, 2), endpoint=True, dtype=np.uint8)
    wanted = run_logits(graph, images, input_range=unit)
    changed, pairs = equalize(graph)
    plain = quantize(graph, PER_TENSOR, images).graph
    better = quantize(graph, replace(PER_TENSOR, improvements=("equalize",)), images).graph

    assert {"MAXIMUM", "MINIMUM"} & kinds
    assert pairs == 2
    after = run_logits(changed, images, input_range=unit)
    assert np.abs(wanted - after).max() < 64 * np.spacing(np.float32(np.abs(wanted).max()))
    gained = sqnr_db(wanted, run_logits(better, images, input_range=unit)) - sqnr_db(
        wanted, run_logits(plain, images, input_range=unit)
    )
    assert gained > 10


def test_bias_correction_takes_mean_errors_out(
    tiny_graph: Graph, calibration: Images, unit: InputRange
) -> None:
    coarse = replace(PER_TENSOR, reduce_range=True)
    quantized = quantize(tiny_graph, coarse, calibration).graph
    corrected = correct_biases(tiny_graph, quantized, calibration, input_range=unit)
    for place, op in enumerate(tiny_graph.ops):
        if op not in set(weighted_ops(tiny_graph)):
            continue
        wanted = mean_by_channel(preactivation(tiny_graph, op), calibration, unit)
        errors = [
            np.abs(mean_by_channel(preactivation(g, g.ops[place]), calibration, unit) - wanted)
            for g in (quantized, corrected)
        ]
        bias = corrected.tensors[corrected.ops[place].inputs[2]]
        assert bias.quant is not None
        assert np.all(errors[1] <= 0.51 * bias.quant.scale + 1e-6)  # half a step of the bias is left
        assert errors[0].max() > errors[1].max()


def test_learned_rounding_lowers_the_error_and_moves_no_weight_by_more_than_a_step(
    tiny_graph: Graph, calibration: Images, digits: Dataset, unit: InputRange
) -> None:
    quantized = quantize(tiny_graph, replace(PER_TENSOR, reduce_range=True), calibration).graph
    effort = RoundingConfig(steps=120, places=2500, batch=128)
    learned, layers = adaround(tiny_graph, quantized, calibration, input_range=unit, config=effort)
    again, _ = adaround(tiny_graph, quantized, calibration, input_range=unit, config=effort)
    wanted = run_logits(tiny_graph, digits.test.images, input_range=unit)
    errors = [
        sqnr_db(wanted, run_logits(g, digits.test.images, input_range=unit)) for g in (quantized, learned)
    ]
    assert errors[1] > errors[0] + 0.5
    assert all(layer.error_after <= layer.error_before for layer in layers)
    for old, new, twin in zip(
        weighted_ops(quantized), weighted_ops(learned), weighted_ops(again), strict=True
    ):
        a, b = quantized.tensors[old.inputs[1]], learned.tensors[new.inputs[1]]
        assert a.data is not None
        assert b.data is not None
        assert np.abs(a.data.astype(int) - b.data.astype(int)).max() <= 1
        assert np.abs(b.data.astype(int)).max() <= 63
        np.testing.assert_array_equal(b.data, again.tensors[twin.inputs[1]].data)


def test_an_unknown_improvement_is_refused(tiny_graph: Graph, calibration: Images) -> None:
    with pytest.raises(InputError, match="Did you mean 'equalize'"):
        quantize(tiny_graph, SchemeConfig(improvements=("equalise",)), calibration)


def dense(weights: npt.NDArray[np.int8]) -> Graph:
    channels, inputs = weights.shape
    unit = QuantParams.per_tensor(0.01, -128)
    tensors = (
        Tensor(name="image", shape=(-1, inputs), dtype=np.dtype(np.int8), quant=unit),
        Tensor(name="dense/kernel", shape=weights.shape, dtype=np.dtype(np.int8), data=weights,
               quant=QuantParams.per_tensor(0.01)),
        Tensor(name="logits", shape=(-1, channels), dtype=np.dtype(np.int8), quant=unit),
    )  # fmt: skip
    op = Op(kind="FULLY_CONNECTED", inputs=(0, 1, -1), outputs=(2,), options_type="FullyConnectedOptions")
    return Graph(tensors=tensors, ops=(op,), inputs=(0,), outputs=(2,))


def test_overflow_is_found_in_the_channels_that_have_it() -> None:
    # 255 * (64 + 64) = 32640 fits; 255 * (65 + 64) = 32895 and 255 * (-65 - 64) = -32895 do not.
    weights = np.array([[64, 64, 1], [65, 64, 0], [-65, -64, 0], [65, -64, 64], [127, -127, 0]], np.int8)
    (risk,) = check_overflow(dense(weights))
    assert risk.adjacent == (1, 2)
    assert risk.any_pair == (1, 2, 3)
    assert risk.worst == 32895
    assert "2 of 5 channels" in risk.sentence()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 6))
def test_the_check_agrees_with_a_saturating_multiply_on_the_worst_inputs(
    seed: int, inputs: int, channels: int
) -> None:
    generator = np.random.default_rng(seed)
    weights = generator.integers(-127, 128, (channels, inputs)).astype(np.int8)
    rows = np.pad(weights.astype(np.int64), ((0, 0), (0, inputs % 2))).reshape(channels, -1, 2)
    # The inputs that are worst for a pair: 255 where the weight has the pair's sign, else 0.
    high, low = (rows * (rows > 0)).sum(axis=2) * 255, (rows * (rows < 0)).sum(axis=2) * 255
    wrong = ((high > 32767) | (low < -32768)).any(axis=1)
    (risk,) = check_overflow(dense(weights))
    assert risk.adjacent == tuple(np.flatnonzero(wrong))
    assert set(risk.adjacent) <= set(risk.any_pair)


def test_reduced_range_is_safe_in_any_order(tiny_graph: Graph, calibration: Images) -> None:
    plain = check_overflow(quantize(tiny_graph, SchemeConfig(), calibration).graph)
    reduced = check_overflow(quantize(tiny_graph, SchemeConfig(reduce_range=True), calibration).graph)
    assert not all(risk.is_safe for risk in plain)
    assert all(risk.is_safe for risk in reduced)
