"""Networks trained on each pixel rule: both files in int8 agree with Keras, and say what they compute."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import mnist_export as mx
from mnist_export.cli.export import main as export_main
from mnist_export.cli.parity import main as parity_main
from mnist_export.core.pixel_options import stated_rule

pytestmark = pytest.mark.usefixtures("brief")

RULES = {
    "caffe": {"preprocess": "caffe"},
    "torch": {"preprocess": "torch"},
    "tf": {"preprocess": "tf"},
    "inverted": {"input_range": "1,0"},
    "std": {"mean": "0.1,0.2,0.3", "std": "0.2,0.35,0.5"},
}


@dataclass(frozen=True)
class Trained:
    """A network on disk, its data, and the options that state its rule."""

    model: Path
    data: Path
    rule: dict[str, str]

    @property
    def words(self) -> list[str]:
        return [word for name, value in self.rule.items() for word in (f"--{name.replace('_', '-')}", value)]


def pictures(count, seed, *, grey):
    """Stripes along or across in red, green or blue; in grey, bright or dark."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % 6)
    channels = 1 if grey else 3
    lines = np.arange(16) // 2 % 2 * rng.integers(70, 110, (count, 1))
    across = (labels // 3 == 1)[:, None, None]
    stripes = np.where(across, lines[:, None, :], lines[:, :, None])
    base = 40 + 50 * (labels % 3)[:, None, None] if grey else rng.integers(20, 100, (count, 1, 1))
    x = np.repeat((base + np.zeros((count, 16, 16)))[..., None], channels, axis=3)
    x[np.arange(count), :, :, 0 if grey else labels % 3] += stripes
    noise = rng.normal(0, 6, x.shape)
    return np.clip(x + noise, 0, 255).astype(np.uint8), labels.astype(np.int64)


@pytest.fixture(scope="module")
def trained(keras, tmp_path_factory):
    """Gives a network by its rule's name, trained for a second or two."""
    folder = tmp_path_factory.mktemp("rules")
    made: dict[str, Trained] = {}

    def get(name, padding="same", before=()):
        key = f"{name}-{padding}-{len(before)}"
        if key not in made:
            rule = RULES[name]
            grey = name == "inverted"
            x, y = pictures(360, 0, grey=grey)
            data = folder / f"{key}.npz"
            test = pictures(240, 1, grey=grey)
            np.savez(data, x_train=x, y_train=y, x_test=test[0], y_test=test[1])
            keras.utils.set_random_seed(1)
            layers = keras.layers
            if padding == "none":
                body = [layers.Flatten(), layers.Dense(24, activation="relu")]
            else:
                body = [layers.Conv2D(8, 3, strides=2, padding=padding, activation="relu"), layers.Flatten()]
            model = keras.Sequential([layers.Input(x.shape[1:]), *before, *body, layers.Dense(6)])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.Adam(0.01), loss)
            model.fit(stated_rule(**rule).to_real(x), y, epochs=12, verbose=0)
            path = folder / f"{key}.keras"
            model.save(path)
            made[key] = Trained(model=path, data=data, rule=rule)
        return made[key]

    return get


def _export(found, folder, **options):
    options = {"int8": True, "formats": ("tflite", "onnx"), **found.rule, **options}
    result = mx.export(str(found.model), data=str(found.data), output=folder, **options)
    document = json.loads(next(folder.glob("*.report.json")).read_text())
    return result, document


@pytest.mark.parametrize("name", RULES)
def test_both_files_agree_with_keras_and_with_each_other(trained, tmp_path, name):
    result, document = _export(trained(name), tmp_path)
    assert result.passed, result.verdict
    assert document["reference"]["top1"] > 0.9
    for artifact in document["artifacts"]:
        assert artifact["agreement"] >= 0.99
        assert artifact["input_type"] in {"int8", "uint8"}
    (pair,) = document["pairs"]
    assert pair["differing"] == 0
    inside = any("compute the pixel rule" in note for note in document["notes"])
    assert inside == (name != "tf")
    stated = trained(name).words[-2:] if inside else ["--input-range", "-1,1"]
    assert shlex.split(document["next_command"])[-2:] == stated


@pytest.mark.parametrize(("name", "padding"), [("caffe", "valid"), ("torch", "none"), ("inverted", "valid")])
def test_a_first_layer_without_padding_takes_the_rule(trained, tmp_path, name, padding):
    result, document = _export(trained(name, padding), tmp_path)
    assert result.passed, result.verdict
    assert any("in the first layer's weights" in note for note in document["notes"])


def test_float_files_take_pixels_in_0_to_1_and_compute_the_rule(trained, tmp_path):
    result, document = _export(trained("caffe"), tmp_path, int8=False)
    assert result.passed, result.verdict
    for artifact in document["artifacts"]:
        assert artifact["input_range"] == [0, 1]
        assert artifact["agreement"] == 1
        assert artifact["logits"]["max_abs_error"] < 1e-3
        assert artifact["pixel_rule"].startswith("float32 input = 0 + pixel * 1 / 255")
        assert "B - 103.939, G - 116.779, R - 123.68" in artifact["pixel_rule"]
    assert document["model"]["preprocessing"] == "B - 103.939, G - 116.779, R - 123.68"


def test_a_float_input_of_an_integer_file_takes_the_same(trained, tmp_path):
    result, document = _export(trained("torch"), tmp_path, io="float32")
    assert result.passed, result.verdict
    assert {artifact["input_type"] for artifact in document["artifacts"]} == {"float32"}


def test_training_in_int8_keeps_the_rule_s_layer(trained, tmp_path):
    result, document = _export(trained("caffe"), tmp_path, qat=1)
    assert result.passed, result.verdict
    assert document["pairs"][0]["differing"] == 0


def test_an_exact_file_carries_the_rule(trained, tmp_path):
    result, document = _export(trained("std"), tmp_path, exact=True, on="none")
    assert result.passed, result.verdict
    assert all(artifact["certificate"]["verdict"] == "pass" for artifact in document["artifacts"])


def _damaged(path):
    content = path.read_bytes()
    old, new = b'"preprocessing":{"order":[2,1,0]', b'"preprocessing":{"order":[0,1,2]'
    assert content.count(old) == 1
    target = path.with_name(f"damaged{path.suffix}")
    target.write_bytes(content.replace(old, new))
    return target


def _check(found, *words):
    arguments = ["check", str(found.model), *map(str, words), "--data", str(found.data), "--no-latency"]
    return parity_main(arguments)


def test_a_check_takes_the_rule_from_the_files_and_fails_where_it_is_damaged(trained, tmp_path, capsys):
    found = trained("caffe")
    _export(found, tmp_path)
    files = [next(tmp_path.glob(f"*.{ending}")) for ending in ("tflite", "onnx")]
    assert _check(found, *files) == 0
    assert "says it computes (--preprocess caffe)" in capsys.readouterr().err
    assert _check(found, *files, *found.words) == 0
    capsys.readouterr()
    for file in files:
        damaged = _damaged(file)
        assert _check(found, damaged) == 1
        assert "another pixel rule than the original's" in capsys.readouterr().out
        assert _check(found, damaged, *found.words) == 1
        said = capsys.readouterr().out
        assert "The file says that it computes R - 103.939" in said
        assert "`" not in said


def test_a_recording_keeps_the_rule(trained, tmp_path, capsys):
    found = trained("caffe")
    _export(found, tmp_path)
    golden = tmp_path / "g.npz"
    words = ["--data", str(found.data), "--no-latency"]
    assert parity_main(["record", str(found.model), "-o", str(golden), *found.words, *words]) == 0
    file = next(tmp_path.glob("*.tflite"))
    assert parity_main(["check", str(golden), str(file), *words]) == 0
    assert parity_main(["check", str(golden), str(_damaged(file)), *words]) == 1
    assert parity_main(["layers", str(found.model), str(file), "--data", str(found.data)]) in {0, 1}
    capsys.readouterr()


@pytest.mark.parametrize(
    ("name", "advice"), [("caffe", "--preprocess caffe"), ("inverted", "--input-range 1,0")]
)
def test_a_rule_that_nobody_stated_is_refused_with_the_right_one(trained, tmp_path, capsys, name, advice):
    found = trained(name)
    words = [str(found.model), "--data", str(found.data), "--int8", "-o", str(tmp_path / "out")]
    assert export_main(words) == 2
    said = capsys.readouterr().err
    assert f"Give {advice}. To insist on the default, give --input-range 0,1." in said
    # stated, it is believed: a warning, and the export goes on
    assert export_main([*words, "--input-range", "0,1", "--min-agreement", "50"]) in {0, 1}
    assert f"Give {advice}." in capsys.readouterr().err


def test_layers_for_pixels_and_augmentation_in_the_model(keras, trained, tmp_path):
    layers = keras.layers
    before = (
        layers.RandomFlip("horizontal"), layers.RandomRotation(0.02), layers.RandomZoom(0.05),
        layers.RandomContrast(0.05), layers.Resizing(14, 14), layers.Rescaling(0.5),
        layers.Normalization(mean=[0.3, 0.2, 0.1], variance=[0.5, 0.6, 0.7]),
    )  # fmt: skip
    result, document = _export(trained("std", before=before), tmp_path)
    assert result.passed, result.verdict
    assert document["reference"]["top1"] > 0.9


def test_channels_first_takes_mean_and_std(keras, trained, tmp_path):
    found = trained("torch")
    plain = keras.models.load_model(found.model)
    inputs = keras.Input((3, 16, 16))
    x = keras.layers.Permute((2, 3, 1))(inputs)
    model = keras.Model(inputs, plain(x))
    path = tmp_path / "first.keras"
    model.save(path)
    rule = {"mean": "0.485,0.456,0.406", "std": "0.229,0.224,0.225"}
    result, document = _export(Trained(model=path, data=found.data, rule=rule), tmp_path / "out")
    assert result.passed, result.verdict
    assert document["reference"]["top1"] > 0.9
    assert any("channels first" in note for note in document["notes"])
