"""Which layer does the damage, and the search that repairs it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph
from mnist_export.core.kinds import Precision
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.quantize import SchemeConfig, auto, quantize
from mnist_export.quantize.auto import search
from mnist_export.quantize.diagnosis.debug import diagnose
from mnist_export.quantize.network.simulate import run_logits, sqnr_db

Images = npt.NDArray[np.uint8]
PER_TENSOR = SchemeConfig(per_channel=False, per_channel_dense=False)


def top1(graph: Graph, dataset: Dataset) -> float:
    logits = run_logits(graph, dataset.test.images, input_range=InputRange())
    return float(np.mean(logits.argmax(axis=1) == dataset.test.labels))


def test_the_bad_network_is_as_good_in_float_and_useless_in_int8(
    tiny_graph: Graph, bad_graph: Graph, calibration: Images, digits: Dataset
) -> None:
    assert abs(top1(bad_graph, digits) - top1(tiny_graph, digits)) < 0.005
    assert top1(quantize(bad_graph, PER_TENSOR, calibration).graph, digits) < top1(tiny_graph, digits) - 0.3


def test_the_debugger_names_the_bad_layer_first_and_both_of_its_causes(
    bad_graph: Graph, calibration: Images
) -> None:
    found = diagnose(bad_graph, quantize(bad_graph, PER_TENSOR, calibration), calibration)
    assert found.culprit == "conv1"
    assert found.layers[0].alone_sqnr_db < found.layers[1].alone_sqnr_db - 3
    assert found.layers[0].channel_spread is not None
    assert found.layers[0].channel_spread > 500
    assert '`keep_float=["conv1", "conv2"]`' in found.advice[0]
    assert "`equalize=True`" in " ".join(found.advice[1:])


def test_a_layer_alone_is_never_better_than_its_weights_and_output_are_by_much(
    tiny_graph: Graph, calibration: Images
) -> None:
    found = diagnose(tiny_graph, quantize(tiny_graph, SchemeConfig(), calibration), calibration)
    assert {layer.name for layer in found.layers} == {"conv1", "conv2", "dense1", "logits"}
    for layer in found.layers:
        assert layer.weights_sqnr_db is not None
        # Independent errors add up; correlated ones may cancel a little.
        assert layer.alone_sqnr_db < min(layer.weights_sqnr_db, layer.output_sqnr_db) + 3
        assert layer.propagated_sqnr_db > 25
    assert found.layers[0].alone_sqnr_db > found.logits_sqnr_db - 3


def test_what_a_layer_adds_itself_is_told_from_what_it_was_handed(
    tiny_graph: Graph, calibration: Images
) -> None:
    found = diagnose(tiny_graph, quantize(tiny_graph, SchemeConfig(), calibration), calibration)
    ordered = sorted(found.layers, key=lambda layer: layer.position)
    # Pixels are exact in int8, so that all of the first layer's error is its own; the kernel adds roundings
    # of its accumulator, far below the output's.
    assert ordered[0].own_sqnr_db == pytest.approx(ordered[0].propagated_sqnr_db, abs=0.5)
    # Behind it, both its own and what it was handed arrive.
    assert all(layer.own_sqnr_db > layer.propagated_sqnr_db + 0.5 for layer in ordered[1:])
    # The last layer's output is the logits.
    assert ordered[-1].own_sqnr_db == pytest.approx(ordered[-1].alone_sqnr_db, abs=0.1)


def test_a_culprit_by_its_output_is_excluded_with_the_layer_that_reads_it(
    tiny_graph: Graph, calibration: Images, digits: Dataset, unit: InputRange
) -> None:
    # One outlier a channel widens conv1's range 40 times; its weights are as they were.
    index = next(i for i, t in enumerate(tiny_graph.tensors) if t.name == "conv1/bias")
    kernel = next(i for i, t in enumerate(tiny_graph.tensors) if t.name == "conv1/kernel")
    reader = next(i for i, t in enumerate(tiny_graph.tensors) if t.name == "conv2/kernel")
    changes = {i: tiny_graph.tensors[i].real().copy() for i in (index, kernel, reader)}
    changes[index][0] = 100.0  # a constant channel that nobody reads
    changes[kernel][0] = 0.0
    changes[reader][..., 0] = 0.0
    graph = tiny_graph.with_tensors({i: replace(tiny_graph.tensors[i], data=d) for i, d in changes.items()})
    plain = quantize(graph, SchemeConfig(), calibration)
    found = diagnose(graph, plain, calibration)
    assert found.culprit == "conv1"
    assert 'Exclude it with `keep_float=["conv1", "conv2"]`: \'conv2\' would round' in found.advice[0]
    wanted = run_logits(graph, digits.test.images, input_range=unit)

    def decibels_with(*names: str) -> float:
        made = quantize(graph, SchemeConfig(keep_float=names), calibration)
        return sqnr_db(wanted, run_logits(made.graph, digits.test.images, input_range=unit))

    alone, both = decibels_with("conv1"), decibels_with("conv1", "conv2")
    assert alone < found.logits_sqnr_db + 3
    assert both > found.logits_sqnr_db + 10


def test_debugging_needs_integers_and_images(tiny_graph: Graph, calibration: Images) -> None:
    with pytest.raises(InputError, match="`int8=True`"):
        diagnose(tiny_graph, quantize(tiny_graph, SchemeConfig(precision=Precision.FLOAT16)), calibration)
    with pytest.raises(InputError, match="found none"):
        diagnose(tiny_graph, quantize(tiny_graph, SchemeConfig(), calibration), calibration[:0])


def test_auto_repairs_the_bad_network_without_a_layer_in_float(
    bad_graph: Graph, calibration: Images, digits: Dataset
) -> None:
    said: list[str] = []
    found = search(bad_graph, PER_TENSOR, calibration, digits.validation, max_drop_pp=1.0, notify=said.append)
    assert found.met
    assert found.chosen.settings == "`equalize=True`"
    assert found.trials[0].settings == ""
    assert found.trials[0].drop_pp > 30
    assert len(said) == len(found.trials)
    assert top1(found.model.graph, digits) > top1(bad_graph, digits) - 0.015


def test_auto_finds_the_smallest_set_of_float_layers_where_nothing_else_helps(
    bad_graph: Graph, calibration: Images, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "_remedies", lambda config: iter(()))
    found = search(bad_graph, PER_TENSOR, calibration, digits.validation, max_drop_pp=1.0)
    assert found.met
    assert "conv1" in found.config.keep_float
    assert len(found.config.keep_float) <= 2
    assert found.chosen.size_bytes > found.trials[0].size_bytes
    assert found.chosen.latency_ratio > 0


def test_auto_goes_on_where_labels_agree_too_little(
    bad_graph: Graph, calibration: Images, digits: Dataset
) -> None:
    found = search(
        bad_graph, PER_TENSOR, calibration, digits.validation, max_drop_pp=100.0, min_agreement=0.97
    )
    assert found.met
    assert found.trials[0].drop_pp < 100.0
    assert found.trials[0].agreement < 0.97 <= found.chosen.agreement


def test_auto_tries_nothing_where_the_drop_is_met(
    tiny_graph: Graph, calibration: Images, digits: Dataset
) -> None:
    found = search(tiny_graph, SchemeConfig(), calibration, digits.validation, max_drop_pp=2.0)
    assert found.met
    assert [trial.settings for trial in found.trials] == [""]


def test_auto_says_so_where_nothing_meets_the_drop(
    tiny_graph: Graph, calibration: Images, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auto, "_remedies", lambda config: iter([replace(config, calibration_method="mse")]))
    found = search(tiny_graph, PER_TENSOR, calibration, digits.validation, max_drop_pp=-50.0)
    assert not found.met
    assert found.chosen.drop_pp == min(trial.drop_pp for trial in found.trials)
    assert found.trials[1].settings == '`calibration_method="mse"`'
    assert "does not meet" in found.model.notes[-1]


def test_auto_needs_validation_images(tiny_graph: Graph, calibration: Images, digits: Dataset) -> None:
    with pytest.raises(InputError, match="validation"):
        search(tiny_graph, SchemeConfig(), calibration, digits.validation.take(np.arange(0)), max_drop_pp=1.0)


def test_names_with_glob_characters_keep_only_their_own_layer(tiny_graph: Graph, calibration: Images) -> None:
    from mnist_export.quantize.network.layers import exact_pattern

    index = next(i for i, t in enumerate(tiny_graph.tensors) if t.name == "conv1")
    odd = tiny_graph.with_tensors({index: replace(tiny_graph.tensors[index], name="conv[12]*")})
    model = quantize(odd, SchemeConfig(keep_float=(exact_pattern("conv[12]*"),)), calibration)
    floats = {op.kind for op in model.graph.ops if model.graph.tensors[op.outputs[0]].name == "conv[12]*"}
    assert floats == {"CONV_2D"}
    (second,) = [t for t in model.graph.tensors if t.name == "conv2"]
    assert second.dtype == np.int8
