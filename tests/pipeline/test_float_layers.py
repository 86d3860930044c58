"""Layers without an integer form stay in float and are named, or are refused where that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

import mnist_export as mx


@pytest.fixture(scope="module")
def model():
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((8, 8, 1))
    x = layers.GroupNormalization(2, name="group")(layers.Conv2D(4, 3, name="conv")(inputs))
    net = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layers.ReLU()(x))), name="grouped")
    net.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = _data()
    net.fit(images[..., None] / 255.0, labels, epochs=5, verbose=0)
    return net


def _data():
    labels = np.arange(200) % 2
    images = np.random.default_rng(0).integers(0, 120, (200, 8, 8), dtype=np.uint8)
    images[labels == 1, :, :4] += 120
    return images, labels


def test_they_stay_in_float_and_are_named(model, tmp_path):
    images, labels = _data()
    found = mx.export(
        model, formats="tflite,onnx", int8=True, data=(images, labels, images[:100], labels[:100]),
        output=tmp_path, input_range="0,1",
    )  # fmt: skip
    assert found.passed, found.verdict
    (note,) = (note for note in found.report.notes if "no integer form" in note)
    assert "group" in note
    assert "conv" not in note


def test_full_integer_refuses_them_by_name(model, tmp_path):
    images, labels = _data()
    with pytest.raises(mx.InputError, match="'group'"):
        mx.export(
            model, int8=True, full_integer=True, data=(images, labels), output=tmp_path, input_range="0,1"
        )
    assert not list(tmp_path.iterdir())
