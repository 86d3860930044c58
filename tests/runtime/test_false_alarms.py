"""The same model exported with different calibrations: no verdict of "different" beyond the test's level."""

import numpy as np

from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import Verdict
from mnist_export.parity.comparison import compare
from mnist_export.runtime.runners.litert import LiteRtRunner

EXPORTS = 20


def test_exports_with_other_calibration_images_are_rarely_called_different(models, digits, int8_graph_of):
    images, labels = digits.test.images, digits.test.labels
    with LiteRtRunner(models.files["float.tflite"]) as runner:
        reference = runner.run(images)
    alarms = 0
    for seed in range(EXPORTS):
        chosen = np.random.default_rng(seed).choice(len(digits.train), 100, replace=False)
        content = write_tflite(int8_graph_of(models.edges, digits.train.images[chosen]))
        with LiteRtRunner(content) as runner:
            found = compare(reference, runner.run(images), labels, candidate_step=runner.output_step)
        assert found.verdict is Verdict.PASS, found.why
        alarms += found.significant
    # at level 0.05, 20 tests give one alarm on average; four or more have a chance of 1.6 %
    assert alarms <= 3
