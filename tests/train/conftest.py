"""Fixtures of the train room's tests: small data, small models, no training longer than a second or two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_export.data import Dataset, Provenance, Split
from mnist_export.train.engine import tensorflow


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep checkpoints and trained models out of the user's cache."""
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "cache"))


def _stripes(count: int, seed: int) -> Split:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, count)
    images = generator.integers(0, 60, (count, 28, 28, 1))
    for image, label in zip(images, labels, strict=True):
        image[7 * label : 7 * label + 7] += 180
    return Split(images=images.astype(np.uint8), labels=labels.astype(np.int64))


@pytest.fixture(scope="session")
def stripes() -> Dataset:
    """Four classes that any network can learn: where a bright band lies."""
    return Dataset(
        name="stripes",
        train=_stripes(256, 1),
        validation=_stripes(64, 2),
        test=_stripes(64, 3),
        class_names=("top", "upper", "lower", "bottom"),
        provenance=Provenance(source="made", path=""),
    )


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras 3, imported without TensorFlow's noise."""
    tensorflow()
    import keras

    return keras


@pytest.fixture()
def small_model(keras: Any) -> Callable[..., Any]:
    """A factory of small classifiers of 28x28x1 images: ten classes, logits unless told otherwise."""

    def build(activation: str | None = None, name: str = "small", extra: tuple[Any, ...] = ()) -> Any:
        keras.utils.set_random_seed(5)
        layers = keras.layers
        return keras.Sequential(
            [
                layers.Input((28, 28, 1)),
                layers.Conv2D(4, 3, strides=2, activation="relu", name="conv"),
                *extra,
                layers.GlobalAveragePooling2D(name="pool"),
                layers.Dense(10, activation=activation, name="last"),
            ],
            name=name,
        )

    return build


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """float32 (8, 28, 28, 1) in 0..1."""
    return np.random.default_rng(9).random((8, 28, 28, 1), np.float32)
