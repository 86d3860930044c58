"""Layers by any name that Keras 3 takes: exported, kept in float, trained and pruned under that very name."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.cli.export import main
from mnist_export.cli.flags import as_flags
from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.quantize import SchemeConfig, quantize
from mnist_export.quantize.lowering import lower
from mnist_export.quantize.network.layers import keep_float_of
from mnist_export.quantize.training.compress import CompressionConfig, compress
from mnist_export.quantize.training.finetune import FineTuning
from mnist_export.quantize.training.qat import train_quantized
from mnist_export.quantize.training.rebuild import check_equal, rebuild

CONV1, CONV2, DENSE = "my layer", "größe, (a[0]) *?", "日本's <b>💡"
NAMES = ("das Bild", CONV1, "pool & co", CONV2, "-flach", DENSE, "the end")


@pytest.fixture(scope="session")
def odd_file(tiny_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny trained network under names that are no scopes of TensorFlow, its model's included."""
    import keras
    from keras import layers

    inputs = layers.Input((28, 28, 1), name=NAMES[0])
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name=CONV1)(inputs)
    x = layers.MaxPooling2D(2, name=NAMES[2])(x)
    x = layers.Conv2D(12, 3, activation="relu", name=CONV2)(x)
    x = layers.Flatten(name=NAMES[4])(x)
    x = layers.Dense(24, activation="relu", name=DENSE)(x)
    model = keras.Model(inputs, layers.Dense(10, name=NAMES[6])(x), name="my net")
    model.set_weights(tiny_model.get_weights())
    path = tmp_path_factory.mktemp("odd") / "own.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def odd(odd_file: Path) -> Any:
    from mnist_export.models.loading import load_model

    return load_model(str(odd_file), notify=lambda _: None).model


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_whole_run_takes_the_names_and_gives_them_back(
    suffix: str, odd_file: Path, short_timing: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import keras

    path = odd_file
    if suffix == ".h5":
        path = tmp_path / "own.h5"
        keras.models.load_model(odd_file).save(path)
    words = ["-m", str(path), "--data", "digits", "--format", "tflite,onnx", "--int8", "--debug-layers"]
    assert main([*words, "--keep-float", CONV1, "-o", str(tmp_path / "out"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {f["where"] for f in report["findings"]} >= {CONV2, DENSE}
    graph = read_tflite((tmp_path / "out" / "own.int8.tflite").read_bytes())
    floats = {graph.tensors[op.outputs[0]].name for op in graph.ops if op.kind == "CONV_2D"} & {CONV1}
    assert floats == {CONV1}
    assert next(t for t in graph.tensors if t.name == CONV1).dtype == np.float32
    rows = {row["name"]: row for row in report["artifacts"][0]["layers"]}
    assert set(rows) == {CONV2, DENSE, "the end"}
    for row in rows.values():
        assert row["own_sqnr_db"] > row["sqnr_db"] - 0.5
        assert row["alone_sqnr_db"] > 20
        assert row["observed"][0] < row["observed"][1]
        assert 0 <= row["saturation"] <= 1
    page = (tmp_path / "out" / "own.int8.report.html").read_text(encoding="utf-8")
    assert "<b>💡" not in page
    assert "&lt;b&gt;💡" in page
    assert "mxname" not in page


def test_a_name_that_looks_like_a_glob_keeps_its_own_layer(
    odd: Any, calibration: npt.NDArray[np.uint8]
) -> None:
    graph = lower(odd, (28, 28, 1))
    model = quantize(graph, SchemeConfig(keep_float=(CONV2,)), calibration)
    floats = {t.name for t in model.graph.tensors if t.is_constant and t.dtype == np.float32}
    assert floats == {f"{CONV2}/kernel", f"{CONV2}/bias"}
    assert model.options["keep_float"] == CONV2


@pytest.mark.parametrize("name", [*NAMES, "conv1", "[x]", "-a*"])
def test_advice_can_be_pasted_into_a_shell(name: str) -> None:
    import fnmatch

    words = shlex.split(as_flags(keep_float_of(name), {"keep_float"}))
    assert words[0] == "--keep-float"
    assert not words[1].startswith("-")
    assert words[1] == name or fnmatch.fnmatchcase(name, words[1])


def test_the_rebuilt_model_is_equal_and_trains_under_the_users_names(
    odd: Any, small: Dataset, calibration: npt.NDArray[np.uint8], unit: InputRange
) -> None:
    made = rebuild(odd, (28, 28, 1))
    assert check_equal(odd, made, small.test.images[:32], unit).max_abs_difference == 0
    said: list[str] = []
    how = FineTuning(dataset=small, epochs=1, notify=said.append)
    pruned = compress(made, CompressionConfig(sparsity=0.5, clusters=8), how)
    result = train_quantized(pruned.model, how, calibration)
    names = {t.name for t in result.model.graph.tensors if t.is_constant}
    assert {f"{name}/kernel" for name in (CONV1, CONV2, DENSE)} < names
    assert {f"{name}/kernel" for name in (CONV1, CONV2, DENSE)} < {
        t.name for t in lower(pruned.model, (28, 28, 1)).tensors
    }
    assert len(said) == 3
    assert all(line.startswith("my net ") for line in said)


def test_a_refusal_names_the_layer_as_the_user_does(small: Dataset) -> None:
    from keras import Model, layers

    inputs = layers.Input((28, 28, 1))
    x = layers.Conv2DTranspose(2, 3, name="nach oben")(inputs)
    model = Model(inputs, layers.Dense(10)(layers.Flatten()(x)))
    with pytest.raises(UnsupportedError, match="'nach oben'"):
        rebuild(model, (28, 28, 1))


def test_slashes_of_keras_2_come_back(unit: InputRange, digits: Dataset) -> None:
    import tf_keras

    entry = tf_keras.Input((28, 28, 1))
    x = tf_keras.layers.Conv2D(2, 3, name="block/conv")(entry)
    model = tf_keras.Model(entry, tf_keras.layers.Dense(10, name="out")(tf_keras.layers.Flatten()(x)))
    made = rebuild(model, (28, 28, 1))
    check_equal(model, made, digits.test.images[:8], unit)
    assert "block/conv/kernel" in {t.name for t in lower(made, (28, 28, 1)).tensors}
