"""The Python interface: light to import, silent, and equal to the commands."""

from __future__ import annotations

import inspect
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest

import mnist_export as mx
from mnist_export.cli.export import build_parser
from mnist_export.pipeline.request import DEFAULTS, job_of, job_with

_ONLY_COMMAND = {"model", "positional_model", "json", "quiet", "verbose", "junit", "summary", "page"}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    return mx.export(
        "lenet5", formats=("tflite", "onnx"), precision="int8", data="digits", output=folder, trust=False
    )


def test_importing_it_is_fast_and_imports_nothing_heavy():
    code = (
        "import sys, time; t = time.perf_counter(); import mnist_export; s = time.perf_counter() - t; "
        "print(s, sorted({'numpy', 'tensorflow', 'onnxruntime', 'keras'} & set(sys.modules)))"
    )
    times = []
    for _ in range(3):
        seconds, _, heavy = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.partition(" ")
        assert heavy.strip() == "[]"
        times.append(float(seconds))
    assert min(times) < 0.05


def test_the_calls_and_the_rooms_of_the_same_name_do_not_hide_each_other():
    from mnist_export.export import EXPORTERS

    assert "tflite" in EXPORTERS
    assert "formats" in inspect.signature(mx.export).parameters
    assert "recipe" in inspect.signature(mx.train).parameters
    assert sys.modules["mnist_export.train"].__name__ == "mnist_export.train"
    assert mx.export.__doc__.startswith("Quantize a Keras")


def test_every_option_of_the_command_is_a_keyword_with_the_same_default():
    parsed = vars(build_parser().parse_args([]))
    keywords = inspect.signature(mx.export).parameters
    for name, value in parsed.items():
        if name in _ONLY_COMMAND:
            continue
        keyword = {"format": "formats"}.get(name, name)
        assert keyword in keywords, name
        assert DEFAULTS[name] == (tuple(value) if isinstance(value, list) else value), name
        if name not in {"format", "output"}:
            assert keywords[keyword].default == DEFAULTS[name], name
    assert job_of(build_parser().parse_args(["-m", "lenet5"])) == job_with()


def test_an_export_gives_its_files_and_figures(result):
    assert result.passed
    assert "original's answer" in result.verdict
    artifact = result.artifacts["tflite"]
    assert artifact.path.is_file()
    assert artifact.size_bytes == artifact.path.stat().st_size
    assert artifact.top1 > 0.9
    assert artifact.agreement > 0.98
    assert abs(artifact.drop_pp) < 1
    assert artifact.latency_us > 0
    assert set(result.artifacts) == {"tflite", "onnx"}


def test_a_result_is_shown_as_a_table(result):
    assert repr(result).startswith("PASS: ")
    assert "| tflite" in repr(result)
    page = result._repr_html_()
    assert "<table>" in page
    assert result.artifacts["onnx"].path.name in page


def test_html_of_a_result_escapes_what_a_model_says(result):
    from dataclasses import replace

    first = replace(result.report.artifacts[0], path="<script>.tflite")
    page = mx.Result(replace(result.report, artifacts=(first,)))._repr_html_()
    assert "<script>" not in page


def test_a_call_prints_nothing_and_leaves_the_process_as_it_was(tmp_path, capfd):
    environment, python, numpy = dict(os.environ), random.getstate(), np.random.get_state()
    mx.export("lenet5", precision="float32", data="digits", output=tmp_path)
    assert dict(os.environ) == environment
    assert random.getstate() == python
    assert all(np.array_equal(a, b) for a, b in zip(numpy, np.random.get_state(), strict=True))
    assert capfd.readouterr() == ("", "")


def test_files_are_checked_against_a_name_and_a_recording(result, tmp_path):
    files = [file.path for file in result.files]
    assert mx.check("lenet5", files, data="digits", latency=False).passed
    golden = mx.record("lenet5", tmp_path / "golden.npz", data="digits", latency=False)
    assert golden.logits.shape == (400, 10)
    found = mx.check(tmp_path / "golden.npz", files[0], latency=False)
    assert found.passed
    assert found.artifacts["tflite"].agreement > 0.98


def test_a_damaged_file_fails_its_check(result, tmp_path):
    from mnist_export.core.graph.tflite_reader import read_tflite

    content = result.artifacts["tflite"].path.read_bytes()
    constants = [t.data for t in read_tflite(content).tensors if t.data is not None]
    largest = max(constants, key=lambda array: array.nbytes).tobytes()
    place = content.index(largest[:64])
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(content[:place] + bytes(len(largest)) + content[place + len(largest) :])
    assert not mx.check("lenet5", damaged, data="digits", latency=False).passed


def test_a_model_and_arrays_in_memory(tmp_path):
    import keras

    rng = np.random.default_rng(0)
    labels = np.arange(240) % 2
    images = rng.integers(0, 120, (240, 8, 8), dtype=np.uint8)
    images[labels == 1, :, :4] += 120
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)], name="tiny"
    )
    model.compile(keras.optimizers.Adam(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images[:160, ..., None] / 255.0, labels[:160], epochs=10, verbose=0)
    found = mx.export(
        model,
        precision="int8",
        data=(images[:160], labels[:160], images[160:], labels[160:]),
        output=tmp_path,
    )
    assert found.passed, found.verdict
    assert found.artifacts["tflite"].path.name == "tiny.int8.tflite"
    assert found.artifacts["tflite"].top1 > 0.95


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "lenet"}, "lenet5"),
        ({"formats": "tflight"}, "tflite"),
        ({"data": "digits", "calibration_samples": 0}, "calibration_samples"),
        ({"data": 3}, "found int"),
        ({"data": (np.zeros(3),)}, "x_train"),
        ({"model": object()}, "a Keras model"),
        ({"input_range": (1, 1)}, "1,1"),
        ({"no_such_option": 1}, "no_such_option"),
    ],
)
def test_bad_input_is_a_value_error_of_one_line(options, said, tmp_path):
    with pytest.raises(mx.InputError, match=said) as raised:
        mx.export(**{"output": tmp_path, **options})
    assert isinstance(raised.value, ValueError)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_proof_and_a_profile(tmp_path):
    exact = mx.export("lenet5", exact=True, data="digits", output=tmp_path)
    assert exact.passed
    path = exact.artifacts["tflite"].path
    assert mx.certify(path).verdict.value == "pass"
    started = time.perf_counter()
    assert mx.profile(path, data="digits").nodes
    assert time.perf_counter() - started < 120


def test_the_version_is_the_package_s():
    from importlib.metadata import version

    assert mx.__version__ == version("mnist-export")


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="no_such"):
        mx.no_such  # noqa: B018


@pytest.mark.parametrize(
    ("options", "python", "shell"),
    [
        (
            {"exact": True, "symmetric": True},
            "`exact`: expected no `symmetric`",
            "--exact: expected no --symmetric",
        ),
        (
            {"calibration_samples": 0},
            "`calibration_samples`: expected a number",
            "--calibration-samples: expected",
        ),
        ({"keep_float": ["conv1"]}, "int8=True", "--int8"),
        ({"input_range": "1"}, "`input_range`: expected two numbers", "--input-range: expected two numbers"),
    ],
)
def test_messages_name_keywords_in_python_and_flags_in_a_shell(tmp_path, capsys, options, python, shell):
    from mnist_export.cli.export import main

    with pytest.raises(mx.InputError) as refused:
        mx.export(**{"output": tmp_path / "out", "data": "digits", **options})
    assert python in str(refused.value)
    assert "--" not in str(refused.value)
    words = []
    for name, value in options.items():
        words.append("--" + name.replace("_", "-"))
        words += [] if value is True else [str(v) for v in (value if isinstance(value, list) else [value])]
    assert main([*words, "-o", str(tmp_path / "out"), "--data", "digits"]) == 2
    assert shell in capsys.readouterr().err


def test_layers_of_ones_own_in_record_and_check(tmp_path, keras):
    code = tmp_path / "layers.py"
    code.write_text(
        "import keras\n\n\n@keras.saving.register_keras_serializable('mine')\n"
        "class Twice(keras.layers.Layer):\n"
        "    def call(self, x):\n        return 2 * x\n"
    )
    namespace = {}
    exec(code.read_text(), namespace)
    inputs = keras.Input((28, 28, 1))
    x = namespace["Twice"]()(keras.layers.Flatten()(inputs))
    keras.Model(inputs, keras.layers.Dense(10)(x)).save(tmp_path / "net.keras")
    keras.saving.get_custom_objects().clear()
    given = {"data": "digits", "trust": True, "custom": code}
    golden = mx.record(tmp_path / "net.keras", tmp_path / "golden.npz", latency=False, **given)
    assert golden.logits.shape == (400, 10)
    with pytest.raises(mx.InputError, match="custom"):
        mx.record(tmp_path / "net.keras", tmp_path / "other.npz", data="digits")
    done = mx.export(tmp_path / "net.keras", precision="float32", output=tmp_path / "out", **given)
    assert mx.check(tmp_path / "net.keras", done.files[0].path, latency=False, **given).passed
