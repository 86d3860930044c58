"""Models whose outputs are numbers or several labels: judged by errors of values, or label by label."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import mnist_export as mx
from mnist_export.cli.export import main

COUNT = 120


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    base = rng.integers(20, 235, (COUNT, 1, 1, 2))  # brightness of either half
    noise = rng.integers(-15, 16, (COUNT, 8, 4, 2))
    return np.concatenate(list(np.moveaxis(base + noise, -1, 0)), axis=2)[..., None].astype(np.uint8)


@pytest.fixture(scope="module")
def halves(images):
    """Mean brightness of the left and right half, 0..1."""
    return np.stack([images[:, :, :4].mean(axis=(1, 2, 3)), images[:, :, 4:].mean(axis=(1, 2, 3))], 1) / 255


def _net(keras, outputs, activation=None, *, aim=None, images=None):
    """Random features of each quarter, the last layer solved by least squares."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((8, 8, 1))
    x = layers.Flatten()(
        layers.AveragePooling2D(4)(layers.Conv2D(4, 3, padding="same", name="conv2d")(inputs))
    )
    last = layers.Dense(outputs, activation=activation)
    model = keras.Model(inputs, last(x))
    if aim is not None:
        body = keras.Model(inputs, x)(images / np.float32(255)).numpy()
        wide = np.concatenate([body, np.ones((len(body), 1))], axis=1)
        solved = np.linalg.lstsq(wide, aim, rcond=None)[0]
        last.set_weights([solved[:-1].astype("float32"), solved[-1].astype("float32")])
    return model


@pytest.fixture(scope="module")
def regression(keras, images, halves, tmp_path_factory):
    path = tmp_path_factory.mktemp("regression") / "brightness.keras"
    _net(keras, 1, aim=100 * halves[:, :1], images=images).save(path)
    return path


def _export(model, y, images, tmp_path, *words):
    data = tmp_path / "data.npz"
    np.savez(data, x_train=images, y_train=y, x_test=images[:60], y_test=y[:60])
    out = tmp_path / "out"
    code = main([str(model), "--data", str(data), "--format", "tflite,onnx", "--int8", "--input-range", "0,1",
                 "-o", str(out), *words])  # fmt: skip
    found = list(out.glob("*.report.json")) or list(out.glob("*report*.json"))
    return code, json.loads(found[0].read_text()) if found else None


def test_one_linear_output_is_judged_by_the_error_of_its_values(
    brief, regression, images, halves, tmp_path, capsys
):
    junit = tmp_path / "junit.xml"
    code, report = _export(regression, 100 * halves[:, 0], images, tmp_path, "--junit", str(junit))
    said = capsys.readouterr()
    assert code == 0, said
    assert report["head"] == "values"
    assert report["reference"]["top1"] is None
    assert report["reference"]["target_errors"]["r2"] > 0.99
    for artifact in report["artifacts"]:
        assert artifact["top1"] is artifact["agreement"] is artifact["flips"] is None
        own, aim = artifact["value_errors"], artifact["target_errors"]
        assert 0 < own["mean_abs"] <= own["rmse"] <= own["max_abs"] < 5
        assert aim["r2"] > 0.98
    assert "RMSE to original" in said.out
    assert "top-1" not in said.out
    properties = {p.get("name") for p in ET.parse(junit).iter("property")}
    assert {"rmse_to_original", "rmse_to_targets", "r2"} <= properties
    assert "top1" not in properties
    page = next((tmp_path / "out").glob("*.report.html")).read_text()
    assert "top-1" not in page
    assert "errors against the data" in page


def test_a_limit_of_ones_own_is_on_the_largest_error(brief, regression, images, halves, tmp_path, capsys):
    code, report = _export(regression, 100 * halves[:, 0], images, tmp_path, "--max-error", "0.0001")
    assert code == 1
    assert report["thresholds"]["max_error"] == 0.0001
    assert "allowed 0.0001" in report["artifacts"][0]["why"]
    assert "labels" not in capsys.readouterr().out


def test_integers_with_gaps_are_numbers_where_that_is_said(
    brief, regression, images, halves, tmp_path, capsys
):
    ages = np.rint(100 * halves[:, 0]).astype(np.int64)
    code, _ = _export(regression, ages, images, tmp_path)
    assert code == 2
    assert "--head values" in capsys.readouterr().err
    code, report = _export(regression, ages, images, tmp_path, "--head", "values")
    assert code == 0
    assert report["reference"]["target_errors"]["rmse"] < 1


def test_several_numbers_have_targets_each(brief, keras, images, halves, tmp_path):
    found = mx.export(
        _net(keras, 2, aim=halves, images=images), int8=True, input_range="0,1", output=tmp_path,
        data=(images, halves, images[:60], halves[:60]),
    )  # fmt: skip
    assert found.passed
    assert found.report.artifacts[0].target_errors.r2 > 0.98


@pytest.mark.parametrize("sets", [True, False])
def test_each_of_several_sigmoids_is_judged_at_its_threshold(
    brief, keras, images, halves, tmp_path, capsys, sets
):
    model = tmp_path / "labels.keras"
    on = halves > 0.5
    _net(keras, 2, "sigmoid", aim=20.0 * (halves - 0.5), images=images).save(model)
    y = on.astype(np.uint8) if sets else np.arange(COUNT) % 2
    code, report = _export(model, y, images, tmp_path)
    said = capsys.readouterr()
    assert code == 0, said
    assert report["head"] == "labels"
    for artifact in report["artifacts"]:
        assert artifact["top1"] is None
        assert artifact["original_labels"]["exact_match"] >= 0.99
        assert len(artifact["target_labels"]["per_label"]) == 2
    if sets:
        assert report["reference"]["target_labels"]["exact_match"] > 0.9
    assert "exact match" in said.out
    assert "top-1" not in said.out


def test_sigmoids_can_be_judged_as_classes_still(brief, keras, images, halves, tmp_path):
    found = mx.export(
        _net(keras, 2, "sigmoid", aim=20.0 * (halves - 0.5), images=images), int8=True, input_range="0,1",
        output=tmp_path, data=(images, (halves[:, 1] > halves[:, 0]).astype(int)), head="classes",
    )  # fmt: skip
    assert found.report.head == "classes"
    assert found.report.artifacts[0].top1 > 0.8


def test_numbers_for_a_classifier_are_refused_with_the_ways_out(brief, keras, images, halves, tmp_path):
    with pytest.raises(mx.InputError, match=r"astype\('int64'\)"):
        mx.export(
            _net(keras, 3, "softmax"),
            int8=True,
            output=tmp_path,
            data=(images, halves[:, 0]),
            input_range="0,1",
        )
    with pytest.raises(mx.InputError, match="NaN"):
        mx.export(_net(keras, 1), output=tmp_path, data=(images, halves[:, 0] * np.nan))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--threshold", "0.3"], "ends in one sigmoid or several"),
        (["--threshold", "1"], "between 0 and 1"),
        (["--max-error", "-1"], "0 or more"),
        (["--max-error", "much"], "found 'much'"),
        (["--head", "value"], "values"),
    ],
)
def test_what_only_classes_have_is_refused_in_a_line(
    brief, regression, images, halves, tmp_path, capsys, words, expected
):
    code, _ = _export(regression, halves[:, 0], images, tmp_path, *words)
    assert code == 2
    assert expected in capsys.readouterr().err


def test_data_of_numbers_serve_a_sub_model_too(brief, regression, images, halves, tmp_path):
    code, report = _export(regression, halves[:, 0], images, tmp_path, "--until", "conv2d")
    assert code == 0
    assert report["artifacts"][0]["checks"][0]["name"] == "SQNR"


def test_the_snippet_of_a_file_gives_its_numbers(brief, regression, images, halves, tmp_path):
    _, report = _export(regression, 100 * halves[:, 0], images, tmp_path)
    from mnist_export.report.schema import Report
    from mnist_export.report.snippets import python_snippet

    read = Report.from_json(json.dumps(report))
    found = {
        artifact.format: python_snippet(artifact, read.model, read.data.class_names, read.head)
        for artifact in read.artifacts
    }
    assert found["onnx"] is None  # its integers' scale is in the metadata
    code = found["tflite"].replace("np.zeros((8, 8, 1), np.uint8)", "IMAGE")
    path = next((tmp_path / "out").glob("*.tflite"))
    said = []
    exec(code.replace(repr(path.name), repr(str(path))), {"IMAGE": images[0], "print": said.append})
    assert float(said[0][0]) == pytest.approx(100 * halves[0, 0], abs=5)


def test_a_file_of_one_number_is_no_classifier_to_compare(
    brief, regression, images, halves, tmp_path, capsys
):
    from mnist_export.cli.parity import main as parity

    _export(regression, 100 * halves[:, 0], images, tmp_path)
    path = next((tmp_path / "out").glob("*.tflite"))
    capsys.readouterr()
    assert parity(["check", str(path), str(path), "--data", "digits"]) == 2
    assert "expected" in capsys.readouterr().err
    assert (
        parity(["check", str(path), str(path), "--data", str(tmp_path / "data.npz"), "--head", "classes"])
        == 2
    )
    assert "--head values" in capsys.readouterr().err


def test_y_of_0_and_1_as_floats_are_two_classes_of_a_sigmoid_and_of_a_linear_logit(
    brief, keras, images, halves, tmp_path
):
    on = (halves[:, 0] > 0.5).astype(np.float32)
    aim = 20.0 * (halves[:, :1] - 0.5)
    arrays = (images, on, images[:60], on[:60])
    found = mx.export(
        _net(keras, 1, "sigmoid", aim=aim, images=images), int8=True, input_range="0,1", data=arrays,
        output=tmp_path / "a",
    )  # fmt: skip
    assert found.report.head == "classes"
    assert found.report.reference.top1 > 0.9
    model = _net(keras, 1, aim=aim, images=images)
    model.compile(loss=keras.losses.BinaryCrossentropy(from_logits=True))
    whole = (images, on.astype(int), images[:60], on[:60].astype(int))
    found = mx.export(model, int8=True, input_range="0,1", data=whole, output=tmp_path / "b")
    assert found.report.head == "classes"
    assert found.report.artifacts[0].top1 > 0.9


def test_a_model_no_better_than_a_constant_is_warned_of(brief, keras, images, halves, tmp_path, capsys):
    for outputs, activation, y in ((1, None, halves[:, 0]), (2, "sigmoid", (halves > 0.5).astype(np.uint8))):
        model = tmp_path / f"bad{outputs}.keras"
        _net(keras, outputs, activation, aim=10 - 20 * halves[:, :outputs], images=images).save(model)
        _export(model, y, images, tmp_path)
        assert "no better" in capsys.readouterr().err
