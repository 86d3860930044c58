"""Labels and numbers beyond the plain export: exact, trained, searched, checked, recorded, on a device."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mnist_export as mx
from mnist_export.cli.export import main
from mnist_export.cli.parity import main as parity
from mnist_export.parity.pytest_plugin import check_files

COUNT = 120


@pytest.fixture(scope="module")
def bright():
    """Images of two halves, each of its own brightness, and those brightnesses, 0..1."""
    rng = np.random.default_rng(0)
    base = rng.integers(20, 235, (COUNT, 1, 1, 2)) + rng.integers(-15, 16, (COUNT, 8, 4, 2))
    images = np.concatenate(list(np.moveaxis(base, -1, 0)), axis=2)[..., None].astype(np.uint8)
    return images, np.stack([images[:, :, :4].mean((1, 2, 3)), images[:, :, 4:].mean((1, 2, 3))], 1) / 255


@pytest.fixture(scope="module")
def case(keras, bright, tmp_path_factory):
    """From a kind of outputs to a model's file and its data's."""
    images, halves = bright
    folder = tmp_path_factory.mktemp("heads")
    kinds = {
        "values": (None, 100 * halves[:, :1], 100 * halves[:, 0]),
        "labels": ("sigmoid", 20 * (halves - 0.5), (halves > 0.5).astype(np.uint8)),
        "binary": ("sigmoid", 20 * (halves[:, :1] - 0.5), (halves[:, 0] > 0.5).astype(np.float32)),
    }

    def build(kind):
        model, data = folder / f"{kind}.keras", folder / f"{kind}.npz"
        if not model.exists():
            activation, aim, y = kinds[kind]
            keras.utils.set_random_seed(0)
            inputs = keras.Input((8, 8, 1))
            x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
            x = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(x))
            last = keras.layers.Dense(aim.shape[1], activation=activation)
            net = keras.Model(inputs, last(x))
            wide = np.concatenate([keras.Model(inputs, x)(images / np.float32(255)), np.ones((COUNT, 1))], 1)
            solved = np.linalg.lstsq(wide, aim, rcond=None)[0].astype("float32")
            last.set_weights([solved[:-1], solved[-1]])
            net.save(model)
            np.savez(data, x_train=images[60:], y_train=y[60:], x_test=images[:60], y_test=y[:60])
        return model, data

    return build


def _export(case, kind, tmp_path, *words):
    model, data = case(kind)
    out = tmp_path / "out"
    code = main([str(model), "--data", str(data), "--format", "tflite,onnx", "--input-range", "0,1",
                 "-o", str(out), *words])  # fmt: skip
    return code, json.loads(next(out.glob("*.report.json")).read_text()), out


@pytest.mark.parametrize("kind", ["values", "labels"])
@pytest.mark.parametrize("words", [["--exact"], ["--int8", "--auto"], ["--int8", "--qat", "1"]])
def test_every_way_to_quantize_takes_other_heads(brief, case, tmp_path, kind, words, capsys):
    close = ["--max-drop", "5", "--min-agreement", "90"]  # a few images lie on a threshold
    code, report, _ = _export(case, kind, tmp_path, *words, *close)
    assert code == 0, capsys.readouterr()
    assert report["head"] == kind
    for artifact in report["artifacts"]:
        assert artifact["verdict"] == "pass"
        assert artifact["top1"] is None
        if kind == "values":
            assert artifact["target_errors"]["r2"] > 0.98
        else:
            assert artifact["target_labels"]["exact_match"] > 0.9


def test_exact_training_aims_at_numbers(brief, case, tmp_path, capsys):
    code, report, _ = _export(case, "values", tmp_path, "--exact", "--qat", "1")
    assert code == 0
    assert "R2 on validation images" in capsys.readouterr().err
    assert report["artifacts"][0]["target_errors"]["r2"] > 0.98


@pytest.mark.parametrize("kind", ["values", "labels"])
def test_check_record_and_pytest_judge_in_the_outputs_terms(brief, case, tmp_path, kind, capsys):
    _, report, out = _export(case, kind, tmp_path, "--int8")
    assert "mnist-parity check" in report["next_command"]
    model, data = case(kind)
    files = [str(path) for path in (next(out.glob("*.tflite")), next(out.glob("*.onnx")))]
    golden = str(tmp_path / "golden.npz")
    assert parity(["record", str(model), "--data", str(data), "-o", golden, "--no-latency"]) == 0
    said = capsys.readouterr().out
    assert ("RMSE" if kind == "values" else "every label right") in said
    junit = tmp_path / "junit.xml"
    for reference in (str(model), golden):
        words = ["check", reference, *files, "--data", str(data), "--no-latency", "--junit", str(junit)]
        assert parity(words) == 0
        said = capsys.readouterr().out
        assert ("RMSE to original" if kind == "values" else "exact match") in said
        assert "top-1" not in said
    assert ("rmse_to_original" if kind == "values" else "exact_match") in junit.read_text()
    result = check_files(golden, *files, data=str(data), trust=True)
    assert result.head.kind == kind
    wrong = {"max_error": 1e-6} if kind == "values" else {"max_drop": -100}
    with pytest.raises(pytest.fail.Exception, match="allowed"):
        check_files(golden, files[0], data=str(data), trust=True, **wrong)
    found = mx.check(str(model), files, data=str(data), latency=False)
    assert found.report.head == kind


def test_numbers_are_checked_on_a_device(brief, case, tmp_path, capsys):
    pytest.importorskip("openvino")
    code, report, _ = _export(case, "values", tmp_path, "--int8", "--on", "openvino")
    assert code == 0
    rows = report["devices"]
    assert {row["verdict"] for row in rows} == {"pass"}
    assert all(row["top1"] is None and row["labels_differ"] is None for row in rows)


def test_one_sigmoid_is_two_classes_at_the_threshold(brief, case, tmp_path, capsys):
    code, report, out = _export(case, "binary", tmp_path, "--int8", "--threshold", "0.9")
    assert code == 0
    assert report["head"] == "classes"
    assert report["thresholds"]["threshold"] == [0.9]
    assert "sigmoid over 0.9" in next(out.glob("*.report.html")).read_text()
    assert "--threshold 0.9" in report["next_command"]
    model, data = case("binary")
    images, y = np.load(data)["x_test"], np.load(data)["y_test"]
    import keras

    chances = np.asarray(keras.models.load_model(model)(images / np.float32(255)))[:, 0]
    assert report["reference"]["top1"] == pytest.approx(np.mean((chances > 0.9) == (y > 0.5)))
    file = str(next(out.glob("*.tflite")))
    capsys.readouterr()
    assert parity(["check", str(model), file, "--data", str(data), "--no-latency"]) == 0  # its own threshold
    capsys.readouterr()
    assert parity(["check", str(model), file, "--data", str(data), "--threshold", "0.5"]) == 2
    assert "expected 0.9" in capsys.readouterr().err


def test_several_sigmoids_take_a_threshold_each(brief, case, bright, tmp_path):
    _, report, out = _export(case, "labels", tmp_path, "--int8", "--threshold", "0.5,0.95")
    assert report["thresholds"]["threshold"] == [0.5, 0.95]
    low, high = report["reference"]["target_labels"]["per_label"]
    assert high < low
    model, data = case("labels")
    found = mx.check(str(model), next(out.glob("*.onnx")), data=str(data), latency=False)
    assert found.report.thresholds.threshold == (0.5, 0.95)
