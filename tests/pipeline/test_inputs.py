"""Inputs as people have them: uint8, a fixed batch, one pixel high, of no fixed size; in both formats."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mnist_export.cli.export import main

FORMS = {
    "uint8": ((12, 12, 3), {"shape": (12, 12, 3), "dtype": "uint8"}),
    "batch of 1": ((12, 12, 3), {"batch_shape": (1, 12, 12, 3)}),
    "batch of 32": ((12, 12, 3), {"batch_shape": (32, 12, 12, 3)}),
    "one row": ((1, 40, 1), {"shape": (1, 40, 1)}),
    "spectrogram": ((49, 10, 1), {"shape": (49, 10, 1)}),
    "no size": ((12, 12, 3), {"shape": (None, None, 3)}),
}


@pytest.mark.parametrize(
    ("form", "suffix"), [*((form, ".keras") for form in FORMS), ("uint8", ".h5")]
)  # after loading, an .h5 of the other forms is the same
def test_a_float_file_answers_as_keras_and_both_int8_files_pass(brief, keras, tmp_path, form, suffix):
    shape, given = FORMS[form]
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 120, (60, *shape), dtype=np.uint8), np.arange(60) % 2
    images[labels == 1] += 100
    data, path = tmp_path / "data.npz", tmp_path / f"net{suffix}"
    np.savez(data, x_train=images, y_train=labels, x_test=images[:30], y_test=labels[:30])
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = layers.Input(**given)
    x = layers.Rescaling(1 / 255.0)(inputs) if form == "uint8" else inputs
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    model.save(path)
    words = [] if form == "uint8" else ["--input-range", "0,1"]
    first = [str(path), "--data", str(data), "--format", "tflite,onnx", *words, "--min-agreement", "0"]
    assert main([*first, "--max-drop", "100", "-o", str(tmp_path / "float")]) == 0
    assert main([*first, "--max-drop", "100", "-o", str(tmp_path / "int8"), "--int8"]) == 0
    report = json.loads(next((tmp_path / "int8").glob("*.report.json")).read_text())
    assert all(pair["differing"] == 0 for pair in report["pairs"])
    if form == "uint8":
        assert report["model"]["input_range"] == [0, 255]

    import onnxruntime

    session = onnxruntime.InferenceSession(next((tmp_path / "float").glob("*.onnx")).read_bytes())
    real = images[:32].astype(np.float32) / (1 if form == "uint8" else 255)
    (found,) = session.run(None, {session.get_inputs()[0].name: real})
    fed = images[:32] if form == "uint8" else real
    wanted = (
        np.concatenate([model(fed[i : i + 1]) for i in range(32)]) if form == "batch of 1" else model(fed)
    )
    np.testing.assert_allclose(found, wanted, atol=1e-4)
