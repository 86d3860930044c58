"""Models trained in mixed precision load in float32, with the answers of their weights."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.models.foreign.half_precision import to_float32
from mnist_export.models.loading import load_model


def _net(keras, policy):
    keras.mixed_precision.set_global_policy(policy)
    try:
        keras.utils.set_random_seed(0)
        layers = keras.layers
        x = inputs = keras.Input((12, 12, 3))
        x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
        x = layers.BatchNormalization()(x)
        x = keras.Sequential([keras.Input((10, 10, 4)), layers.MaxPooling2D()], name="inner")(x)
        x = layers.Add()([x, layers.Conv2D(4, 1)(x)])
        return keras.Model(inputs, layers.Dense(4, dtype="float32")(layers.Flatten()(x)))
    finally:
        keras.mixed_precision.set_global_policy("float32")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_it_is_rebuilt_in_float32(policy, suffix, tmp_path):
    keras = pytest.importorskip("keras")
    path = tmp_path / f"net{suffix}"
    half = _net(keras, policy)
    half.save(path)
    told = []
    loaded = load_model(str(path), notify=told.append)
    assert any("mixed precision" in text for text in told)
    full = _net(keras, "float32")
    full.set_weights(half.get_weights())
    images = np.random.default_rng(0).random((5, 12, 12, 3), dtype=np.float32)
    found = np.asarray(loaded.model(images, training=False))
    np.testing.assert_allclose(found, np.asarray(full(images, training=False)), atol=1e-6)


def test_a_float32_configuration_stays_as_it_is():
    config = {"class_name": "Dense", "config": {"name": "float16", "dtype": "float32"}}
    assert not to_float32(config)
    assert config["config"]["name"] == "float16"
