"""The same model with 20 calibrations: no verdict of "different" beyond the level of the test."""

import math

import pytest

from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import Precision, Verdict
from mnist_export.data import calibration_images
from mnist_export.parity.comparison import SIGNIFICANCE, compare
from mnist_export.quantize import SchemeConfig, quantize
from mnist_export.runtime.runners.litert import LiteRtRunner

SEEDS = 20


@pytest.fixture(scope="module")
def comparisons(dataset, graph, exports):
    found = []
    for seed in range(SEEDS):
        images = calibration_images(dataset, 100, seed=seed)
        network = quantize(graph, SchemeConfig(precision=Precision.INT8), images)
        with LiteRtRunner(write_tflite(network.graph), label=f"seed {seed}") as runner:
            logits = runner.run(dataset.test.images)
        found.append(compare(exports.logits, logits, dataset.test.labels))
    return found


def test_other_calibration_images_are_rarely_called_different(comparisons):
    alarms = sum(found.mcnemar_p < SIGNIFICANCE for found in comparisons)
    # largest count that independent tests of equal models exceed with a chance under 5 %
    level, total = SIGNIFICANCE, 0.0
    for allowed in range(SEEDS + 1):
        total += math.comb(SEEDS, allowed) * level**allowed * (1 - level) ** (SEEDS - allowed)
        if total >= 0.95:
            break
    assert allowed == 3
    assert alarms <= allowed


def test_every_calibration_passes(comparisons):
    assert [found.why for found in comparisons if found.verdict is Verdict.FAIL] == []


def test_the_calibrations_do_differ(comparisons):
    assert len({found.logits.rmse for found in comparisons}) > SEEDS // 2
