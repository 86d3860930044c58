"""A small trained network, its float graph, and one that was made to quantize badly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.graph import Graph
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.data.splitting import calibration_images


@pytest.fixture(scope="session")
def tiny_model(digits: Dataset) -> Any:
    """Two convolutions and a dense layer, trained for a few seconds; about 95 % on the digits."""
    from mnist_export.models.structure.engine import tensorflow

    tensorflow()
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    inputs = layers.Input((28, 28, 1), name="image")
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(12, 3, activation="relu", name="conv2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(24, activation="relu", name="dense1")(x)
    model = keras.Model(inputs, layers.Dense(10, name="logits")(x), name="tiny")
    model.compile(keras.optimizers.Adam(0.004), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(digits.train.images / np.float32(255), digits.train.labels, batch_size=32, epochs=8, verbose=0)
    return model


@pytest.fixture(scope="session")
def tiny_graph(tiny_model: Any) -> Graph:
    """The float graph of the tiny model."""
    from mnist_export.quantize.lowering import lower

    return lower(tiny_model, (28, 28, 1))


@pytest.fixture(scope="session")
def calibration(digits: Dataset) -> npt.NDArray[np.uint8]:
    """200 training images."""
    return calibration_images(digits, 200)


@pytest.fixture(scope="session")
def bad_graph(tiny_graph: Graph) -> Graph:
    """The same function, conv1's first channel 1,000 times larger and read 1,000 times smaller."""
    changes = {}
    for index, tensor in enumerate(tiny_graph.tensors):
        if tensor.name in {"conv1/kernel", "conv1/bias"}:
            data = tensor.real().copy()
            data[0] *= 1000
            changes[index] = replace(tensor, data=data)
        elif tensor.name == "conv2/kernel":
            data = tensor.real().copy()
            data[..., 0] /= 1000
            changes[index] = replace(tensor, data=data)
    assert len(changes) == 3
    return tiny_graph.with_tensors(changes)


@pytest.fixture(scope="session")
def small(digits: Dataset) -> Dataset:
    """The digits with few training images, for tests that train."""
    return replace(digits, train=digits.train.take(np.arange(320)))


@pytest.fixture
def unit() -> InputRange:
    """Pixels from 0 to 1."""
    return InputRange()
