"""Models load the same before and after others were trained in the same process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.models.loading import load_model
from mnist_export.quantize.training.compress import CompressionConfig, compress
from mnist_export.quantize.training.finetune import FineTuning
from mnist_export.quantize.training.qat import train_quantized
from mnist_export.quantize.training.rebuild import rebuild
from mnist_export.train.devices import seed_everything


def quiet(_: str) -> None:
    """Say nothing."""


def keras_2_dropout(path: Path) -> None:
    """A depthwise convolution as Keras 2 writes it, which Keras 3 does not build, and dropout."""
    import tf_keras

    layers = tf_keras.layers
    tf_keras.Sequential(
        [layers.InputLayer((28, 28, 1)), layers.Conv2D(4, 3, strides=3), layers.DepthwiseConv2D(3),
         layers.Dropout(0.4), layers.Flatten(), layers.Dense(10, activation="softmax")]
    ).save(path)  # fmt: skip


def keras_2_operators(path: Path) -> None:
    """A functional model that adds tensors with ``+``, with noise in training."""
    import tf_keras

    layers = tf_keras.layers
    entry = layers.Input((28, 28, 1))
    x = layers.SpatialDropout2D(0.2)(layers.Conv2D(3, 3, padding="same")(entry))
    x = layers.GaussianNoise(0.1)(x + layers.Conv2D(3, 3, padding="same")(x))
    tf_keras.Model(entry, layers.Dense(10)(layers.Flatten()(x))).save(path)


def keras_3_dropout(path: Path) -> None:
    import keras

    layers = keras.layers
    keras.Sequential(
        [layers.Input((28, 28, 1)), layers.Conv2D(4, 3, strides=3), layers.Dropout(0.4), layers.Flatten(),
         layers.Dense(10)]
    ).save(path)  # fmt: skip


SAVED: dict[str, Callable[[Path], None]] = {
    "dropout.h5": keras_2_dropout,
    "operators.h5": keras_2_operators,
    "plain.keras": keras_3_dropout,
    "plain.h5": keras_3_dropout,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("order")
    seed_everything(1)
    for name, save in SAVED.items():
        save(folder / name)
    return {name: folder / name for name in SAVED}


def all_logits(files: dict[str, Path], images: npt.NDArray[np.float32]) -> dict[str, Any]:
    loaded = {name: load_model(str(path), notify=quiet) for name, path in files.items()}
    return {
        name: (found.framework, found.parameters, np.asarray(found.model(images, training=False)))
        for name, found in loaded.items()
    }


def test_files_load_the_same_before_and_after_training_and_so_does_training(
    files: dict[str, Path],
    small: Dataset,
    tiny_model: Any,
    calibration: npt.NDArray[np.uint8],
    unit: InputRange,
) -> None:
    images = unit.to_real(small.test.images[:16])
    before = all_logits(files, images)
    assert before["dropout.h5"][0] == before["operators.h5"][0] == "tf_keras"
    how = FineTuning(dataset=small, epochs=1, notify=quiet)
    first = train_quantized(rebuild(tiny_model, (28, 28, 1)), how, calibration)
    middle = all_logits(files, images)
    # A loaded Keras 2 model itself is trained too, and the rest after it.
    own = load_model(str(files["operators.h5"]), notify=quiet).model
    compress(rebuild(own, (28, 28, 1)), CompressionConfig(sparsity=0.5), how)
    train_quantized(rebuild(own, (28, 28, 1)), how, calibration)
    after = all_logits(dict(reversed(files.items())), images)
    for name, (framework, parameters, logits) in before.items():
        for other in (middle[name], after[name]):
            assert other[:2] == (framework, parameters)
            np.testing.assert_array_equal(other[2], logits)
    # Whatever was loaded and trained in between, the same training gives the same weights.
    second = train_quantized(rebuild(tiny_model, (28, 28, 1)), how, calibration)
    for one, two in zip(first.model.graph.tensors, second.model.graph.tensors, strict=True):
        assert one.name == two.name
        if one.data is not None and two.data is not None:
            np.testing.assert_array_equal(one.data, two.data)
