"""Keras models answer like their weights, and what they recorded is checked without TensorFlow."""

import subprocess
import sys

import numpy as np
import pytest

from mnist_export.core.pixels import InputRange
from mnist_export.parity.layers.activations import activations_of
from mnist_export.parity.layers.comparison import compare_layers
from mnist_export.parity.recording import record
from mnist_export.runtime.bench.isolated import measure_isolated
from mnist_export.runtime.runners.keras import KerasRunner
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.runners.opening import open_runner
from mnist_export.runtime.timing.latency import Effort


@pytest.fixture(scope="module")
def keras_model(models):
    import keras

    edges = models.edges
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.MaxPooling2D(name="pool"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(10, name="logits"),
        ]
    )
    model.get_layer("conv").set_weights([edges.filters.transpose(1, 2, 3, 0), edges.bias])
    model.get_layer("logits").set_weights([edges.weights.T, edges.offset])
    return model


@pytest.fixture
def runner(keras_model):
    with KerasRunner(keras_model, label="edges") as opened:
        yield opened


def test_a_keras_model_gives_the_logits_that_numpy_computes(runner, models, digits):
    images = digits.test.images
    assert np.abs(runner.run(images) - models.edges.logits(images)).max() < 676 * 8 * 2**-24
    assert runner.device.startswith(("CPU", "GPU"))
    assert runner.num_classes == 10


def test_its_input_range_is_what_the_caller_says(keras_model, digits):
    with KerasRunner(keras_model, input_range=InputRange(lo=0, hi=255)) as runner:
        assert runner.prepare(digits.test.images[:9]).max() == 255


def test_its_layers_match_those_of_the_int8_file(runner, models, digits):
    with LiteRtRunner(models.files["int8.tflite"]) as candidate:
        result = compare_layers(
            activations_of(runner, digits.test.images, count=16),
            activations_of(candidate, digits.test.images, count=16),
        )
    assert [(layer.reference, layer.candidate) for layer in result.layers] == [
        ("conv", "conv/Relu"),
        ("pool", "pool"),
        ("logits", "logits"),
    ]
    assert result.first is None


def test_what_it_recorded_is_checked_where_there_is_no_tensorflow(runner, models, digits, tmp_path):
    quick = Effort(min_time_s=0.02, min_runs=5, min_rounds=2, max_time_s=0.2, max_warmup_s=0.05)
    golden = record(runner, digits, effort=quick)
    assert golden.meta.runtime == "keras"
    assert golden.meta.backend == "tensorflow"
    assert golden.meta.environment["versions"]["tensorflow"]
    golden.save(tmp_path / "golden.npz")
    (candidate,) = models.write(tmp_path, "int8.tflite")
    script = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'tf_keras', 'onnx', 'tf2onnx'):\n"
        "    sys.modules[name] = None\n"  # an import of None raises ModuleNotFoundError
        "from mnist_export.cli.parity import main\n"
        "sys.exit(main(['check', *sys.argv[1:], '-q', '--no-latency']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "golden.npz"), candidate],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("PASS")


def test_a_keras_model_in_memory_is_timed_in_a_process_of_its_own(runner, models, digits, tmp_path):
    quick = Effort(min_time_s=0.02, min_runs=5, min_rounds=2, max_time_s=0.2, max_warmup_s=0.05)
    (path,) = models.write(tmp_path, "int8.tflite")
    with open_runner(path, trust=True) as candidate:
        found = measure_isolated(
            {"reference": runner, "0": candidate}, digits.test.images[:1], effort=quick, pin=True
        )
    # a call into TensorFlow costs more than all of the small network's arithmetic
    assert found.times.latencies["reference"].p50 > found.times.latencies["0"].p50
    assert found.ratios["0"].ratio < 1


@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_layers_of_a_model_within_the_model_are_read_in_the_order_of_their_calls(framework, digits):
    lib = pytest.importorskip(framework)
    layers = lib.layers
    block = lib.Sequential(
        [layers.Input((28, 28, 1)), layers.Conv2D(2, 3, name="inner"), layers.MaxPooling2D(2, name="pool")],
        name="block",
    )
    entry = layers.Input((28, 28, 1))
    x = layers.Flatten(name="flat")(block(entry))
    shared = layers.Dense(338, name="shared")
    x = layers.Dense(10, name="logits")(shared(shared(x)))
    model = lib.Model(entry, x)
    images = digits.test.images[:4]
    with KerasRunner(model, label="nested") as runner:
        found = activations_of(runner, images, count=4)
        again = activations_of(runner, images, count=4)
        answers = runner.run(images)

    assert [a.name for a in found] == ["inner", "pool", "shared", "shared", "logits"]
    assert [a.name for a in again] == [a.name for a in found]  # nothing was left in the layers
    assert found[0].values.shape == (4, 26, 26, 2)
    np.testing.assert_allclose(found[-1].values, answers, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(
        found[1].values, found[0].values.reshape(4, 13, 2, 13, 2, 2).max(axis=(2, 4))
    )
