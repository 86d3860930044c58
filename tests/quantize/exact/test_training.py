"""Training on keeps to the grid, and the float32 simulation computes the files' own integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import Precision, Verdict
from mnist_export.parity.certificate.certifying import certify
from mnist_export.quantize.exact import quantize_exact
from mnist_export.quantize.exact.advance import run_network
from mnist_export.quantize.exact.arithmetic import run_graph
from mnist_export.quantize.network.scheme import SchemeConfig


@pytest.fixture(scope="module")
def small(net_builder, digits):
    net = net_builder((28, 28, 1), seed=2)
    x = net.pool(net.conv(0, 6, 5, stride=2, name="conv1"), name="pool1")
    graph = net.graph(net.dense(net.flatten(x), 10))
    return quantize_exact(graph, digits.train.images[:64], None, SchemeConfig(precision=Precision.INT8))


def test_the_float32_simulation_computes_the_same_integers(exact_lenet, digits):
    from mnist_export.quantize.exact.simulation import simulate

    images = digits.test.images[:50]
    expected = run_graph(exact_lenet.graph, images)[exact_lenet.graph.outputs[0]]
    np.testing.assert_array_equal(simulate(exact_lenet.graph, images), expected)


def test_training_on_learns_and_stays_exact(small, digits):
    from mnist_export.quantize.exact.training import fine_tune_exact

    said = []
    trained = fine_tune_exact(small, digits, epochs=25, seed=1, notify=said.append)
    assert trained.variant == "exact-qat"
    assert len(said) == 26

    def accuracy(model):
        codes = run_network(model.graph, digits.validation.images)
        return float((codes.argmax(axis=1) == digits.validation.labels).mean())

    # from random weights, whose labels are chance, to a classifier
    assert accuracy(trained) > accuracy(small) + 0.3
    assert certify(write_tflite(trained.graph)).verdict is Verdict.PASS


def test_training_needs_validation_images(small, digits):
    from mnist_export.quantize.exact.training import fine_tune_exact

    empty = replace(digits, validation=digits.validation.take(np.zeros(0, np.int64)))
    with pytest.raises(InputError, match="validation"):
        fine_tune_exact(small, empty, epochs=1)
