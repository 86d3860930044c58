"""Models of several outputs: all in one file under their names, each judged by itself; or one of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mnist_export.cli.export import main
from mnist_export.cli.parity import main as parity

COUNT = 80


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 120, (COUNT, 8, 8, 3), dtype=np.uint8)
    labels = np.arange(COUNT) % 3
    images[np.arange(COUNT), ..., labels] += 100
    path = tmp_path_factory.mktemp("several") / "data.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:60], y_test=labels[:60])
    return path


@pytest.fixture(scope="module")
def model(keras):
    """Three outputs, which are read off the mean of each channel."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1, activation="relu", name="mix")(inputs))
    kind = layers.Dense(3, activation="softmax", name="kind")(x)
    age = layers.Dense(1, name="age")(x)
    tags = layers.Dense(2, activation="sigmoid", name="tags")(x)
    net = keras.Model(inputs, {"kind": kind, "age": age, "tags": tags})
    eye = np.eye(3, dtype=np.float32)
    net.get_layer("mix").set_weights([eye[None, None], np.zeros(3, np.float32)])
    net.get_layer("kind").set_weights([20 * eye, np.zeros(3, np.float32)])
    net.get_layer("age").set_weights(
        [np.array([[90.0], [30.0], [-20.0]], np.float32), np.ones(1, np.float32)]
    )
    net.get_layer("tags").set_weights([30 * eye[:, :2], np.full(2, -12.0, np.float32)])
    return net


def _export(path, data, out, *words):
    first = [str(path), "--data", str(data), "--format", "tflite,onnx", "--input-range", "0,1"]
    code = main([*first, "-o", str(out), *words])
    return code, json.loads(next(out.glob("*.report.json")).read_text())


def _others_answers(out, images):
    """Each file's outputs by name, from the runtimes themselves."""
    import onnxruntime
    from ai_edge_litert.interpreter import Interpreter

    found = {}
    interpreter = Interpreter(model_path=str(next(out.glob("*.tflite"))))
    entry = interpreter.get_input_details()[0]
    rows = []
    for image in images:
        interpreter.resize_tensor_input(entry["index"], [1, *images.shape[1:]])
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], _as(entry["dtype"], image[None]))
        interpreter.invoke()
        rows.append([interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()])
    for place, details in enumerate(interpreter.get_output_details()):
        values = np.concatenate([row[place] for row in rows])
        found["tflite", details["name"]] = values, details["quantization"]
    session = onnxruntime.InferenceSession(next(out.glob("*.onnx")).read_bytes())
    kind = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}[session.get_inputs()[0].type]
    values = session.run(None, {session.get_inputs()[0].name: _as(kind, images)})
    for output, value in zip(session.get_outputs(), values, strict=True):
        found["onnx", output.name] = value, None
    return found


def _as(dtype, images):
    if dtype == np.float32:
        return images / np.float32(255)
    return images if dtype == np.uint8 else (images.astype(np.int16) - 128).astype(np.int8)


def test_float_files_have_all_outputs_of_a_dict_under_their_names(brief, keras, model, data, tmp_path):
    path = tmp_path / "net.keras"
    model.save(path)
    code, report = _export(path, data, tmp_path / "out")
    assert code == 0
    assert [output["name"] for output in report["outputs"]] == ["age", "kind", "tags"]
    images = np.load(data)["x_test"][:4]
    wanted = {name: np.asarray(value) for name, value in model(images / np.float32(255)).items()}
    ends = {
        "kind": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        "tags": lambda z: 1 / (1 + np.exp(-z)),
        "age": lambda z: z,
    }
    for (_, name), (found, _) in _others_answers(tmp_path / "out", images).items():
        np.testing.assert_allclose(ends[name](found), wanted[name], atol=1e-4)


@pytest.mark.parametrize("form", ["dict", "list"])
def test_int8_files_are_judged_output_by_output(brief, keras, model, data, tmp_path, capsys, form):
    net = model
    if form == "list":
        net = keras.Model(model.inputs, [model.output["kind"], model.output["age"], model.output["tags"]])
    path, junit, out = tmp_path / "net.keras", tmp_path / "junit.xml", tmp_path / "out"
    net.save(path)
    code, report = _export(path, data, out, "--int8", "--junit", str(junit))
    said = capsys.readouterr()
    assert code == 0, said
    names = ["age", "kind", "tags"] if form == "dict" else ["kind", "age", "tags"]
    outputs = {output["name"]: output for output in report["outputs"]}
    assert list(outputs) == names
    assert {name: output["head"] for name, output in outputs.items()} == {
        "kind": "classes", "age": "values", "tags": "labels",
    }  # fmt: skip
    assert outputs["kind"]["reference"]["top1"] > 0.9  # the y are its
    assert outputs["age"]["artifacts"][0]["value_errors"]["rmse"] < 1
    assert outputs["age"]["reference"]["target_errors"] is None
    assert outputs["tags"]["artifacts"][1]["original_labels"]["exact_match"] >= 0.99
    assert "the data's y are those of output 'kind'" in said.out
    for name in names:
        assert f"Output {name} (" in said.out
        assert f"{name}: " in junit.read_text()
        assert f">Output {name}<" in next(out.glob("*.html")).read_text()
    images = np.load(data)["x_test"][:4]
    found = _others_answers(out, images)
    assert {name for _, name in found} == set(names)
    values, (scale, point) = found["tflite", "age"]
    wanted = model(images / np.float32(255))["age"]
    np.testing.assert_allclose(scale * (values.astype(np.float32) - point), wanted, atol=1)
    np.testing.assert_array_equal(values.astype(np.int16) + 128, found["onnx", "age"][0])


def test_one_output_is_chosen_by_its_name(brief, model, data, tmp_path, capsys):
    path = tmp_path / "net.keras"
    model.save(path)
    code, report = _export(path, data, tmp_path / "out", "--int8", "--output-name", "kind")
    assert code == 0
    assert report["outputs"] == []
    assert report["reference"]["top1"] > 0.9
    assert main([str(path), "--data", str(data), "--output-name", "kinds"]) == 2
    assert "Did you mean 'kind'" in capsys.readouterr().err


def test_what_needs_one_output_says_how_to_choose_it(brief, model, data, tmp_path, capsys):
    path = tmp_path / "net.keras"
    model.save(path)
    for words in (["--exact"], ["--int8", "--qat"], ["--int8", "--format", "c"]):
        assert main([str(path), "--data", str(data), "-o", str(tmp_path / "out"), *words]) == 2
        assert "Choose one with --output-name (age, kind, tags)" in capsys.readouterr().err
    assert parity(["record", str(path), "--data", str(data), "-o", str(tmp_path / "g.npz")]) == 2
    assert "--output-name: age, kind, tags" in capsys.readouterr().err
