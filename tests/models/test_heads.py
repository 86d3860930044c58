"""Heads and inputs as people have them: dicts, maps of one pixel, one sigmoid, no fixed size."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.data.in_memory import dataset_of_arrays
from mnist_export.models.loading import load_model


@pytest.fixture(scope="module")
def keras():
    found = pytest.importorskip("keras")
    found.utils.set_random_seed(0)
    return found


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (60, 12, 12, 3), dtype=np.uint8)


def _loaded(model, tmp_path, pictures, classes, suffix=".keras"):
    path = tmp_path / f"net{suffix}"
    model.save(path)
    data = dataset_of_arrays(
        (pictures, np.arange(60) % classes, pictures, np.arange(60) % classes), notify=lambda _text: None
    )
    notes = []
    return load_model(str(path), data, notify=notes.append), notes


def _answers(loaded, pictures):
    return np.asarray(loaded.model(pictures.astype("float32"), training=False))


def _body(keras, size=(12, 12)):
    inputs = keras.Input((*size, 3))
    return inputs, keras.layers.Conv2D(4, 3, activation="relu")(inputs)


def test_the_only_output_of_a_dict_is_taken(keras, tmp_path, pictures):
    inputs, x = _body(keras)
    model = keras.Model(inputs, {"label": keras.layers.Dense(3)(keras.layers.Flatten()(x))})
    loaded, notes = _loaded(model, tmp_path, pictures, 3)
    assert any("'label'" in note for note in notes)
    np.testing.assert_allclose(
        _answers(loaded, pictures), model(pictures.astype("float32"))["label"], rtol=1e-5
    )


def test_several_outputs_are_refused_by_their_number(keras, tmp_path, pictures):
    inputs, x = _body(keras)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, {"a": keras.layers.Dense(3)(x), "b": keras.layers.Dense(3)(x)})
    with pytest.raises(InputError, match="one output, found 2"):
        _loaded(model, tmp_path, pictures, 3)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_map_of_one_pixel_is_a_head(keras, tmp_path, pictures, activation):
    inputs, x = _body(keras)
    x = keras.layers.Conv2D(3, 1)(keras.layers.GlobalAveragePooling2D(keepdims=True)(x))
    logits = keras.Model(inputs, x)
    model = keras.Model(inputs, keras.layers.Activation(activation)(x)) if activation else logits
    loaded, _ = _loaded(model, tmp_path, pictures, 3)
    expected = np.asarray(logits(pictures.astype("float32"))).reshape(60, 3)
    np.testing.assert_allclose(_answers(loaded, pictures), expected, rtol=1e-5)


def test_a_larger_map_is_no_head(keras, tmp_path, pictures):
    inputs, x = _body(keras)
    with pytest.raises(InputError, match="Flatten"):
        _loaded(keras.Model(inputs, keras.layers.Conv2D(3, 1)(x)), tmp_path, pictures, 3)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("form", ["dense", "layer", "convolution"])
def test_one_sigmoid_decides_between_two_classes(keras, tmp_path, pictures, form, suffix):
    inputs, x = _body(keras)
    if form == "dense":
        x = keras.layers.Dense(1, activation="sigmoid", bias_initializer="ones")(keras.layers.Flatten()(x))
    elif form == "layer":
        x = keras.layers.Activation("sigmoid")(keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    else:
        x = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = keras.layers.Conv2D(1, 1, activation="sigmoid")(x)
    model = keras.Model(inputs, x)
    for layer in model.layers:  # answers on both sides of the threshold
        layer.set_weights([value * 0.01 for value in layer.get_weights()])
    loaded, notes = _loaded(model, tmp_path, pictures, 2, suffix)
    assert any("two logits" in note for note in notes)
    logits = _answers(loaded, pictures)
    assert logits.shape == (60, 2)
    chance = np.exp(logits[:, 1]) / np.exp(logits).sum(axis=1)
    np.testing.assert_allclose(chance, np.asarray(model(pictures.astype("float32"))).reshape(-1), rtol=1e-4)


def test_a_model_of_any_size_takes_the_data_s(keras, tmp_path, pictures):
    inputs, x = _body(keras, (None, None))
    x = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    loaded, notes = _loaded(model, tmp_path, pictures, 3)
    assert loaded.input_shape == (12, 12, 3)
    assert any("12x12" in note for note in notes)
    softmax = np.asarray(keras.ops.softmax(_answers(loaded, pictures)))
    np.testing.assert_allclose(softmax, model(pictures.astype("float32")), rtol=1e-4, atol=1e-7)


def test_a_model_of_channels_first_takes_pictures_as_files_hold_them(keras, tmp_path, pictures):
    inputs = keras.Input((3, 12, 12))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", data_format="channels_first")(inputs)
    x = keras.layers.Dense(3)(keras.layers.Flatten(data_format="channels_first")(x))
    model = keras.Model(inputs, x)
    loaded, notes = _loaded(model, tmp_path, pictures, 3)
    assert loaded.input_shape == (12, 12, 3)
    assert any("channels first" in note for note in notes)
    expected = model(pictures.astype("float32").transpose(0, 3, 1, 2))
    np.testing.assert_allclose(_answers(loaded, pictures), expected, rtol=1e-4, atol=1e-3)
