"""Two networks that no zoo entry covers, built and trained for minutes, kept in the cache.

``resnet8`` is MLPerf Tiny's image classifier (mlcommons/tiny, ``resnet_v1_eembc``): a stem of 16 channels,
three residual stacks of 16, 32 and 64, an average and a dense layer. ``depthwise`` is that family:
depthwise and pointwise convolutions in pairs.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from mnist_export.core.cache import cache_folder
from mnist_export.data import Dataset, stratified_sample
from mnist_export.models.families import FamilyNetwork

IMAGES: Final = 8_000
EPOCHS: Final = 2
BATCH: Final = 64
SEED: Final = 0


def resnet8(input_shape: tuple[int, ...], classes: int) -> Any:
    """Build MLPerf Tiny's ResNet-8 for other images; it ends in logits."""
    import keras
    from keras import layers

    def convolved(x: Any, filters: int, strides: int, kernel: int = 3) -> Any:
        return layers.Conv2D(filters, kernel, strides=strides, padding="same")(x)

    def normal(x: Any) -> Any:
        return layers.BatchNormalization(momentum=0.9)(x)

    image = layers.Input(input_shape, name="image")
    x = layers.ReLU()(normal(convolved(image, 16, 1)))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        y = layers.ReLU()(normal(convolved(x, filters, strides)))
        y = normal(convolved(y, filters, 1))
        short = x if strides == 1 else convolved(x, filters, strides, 1)
        x = layers.ReLU()(layers.Add()([short, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(classes, name="logits")(x), name="resnet8")


def depthwise(input_shape: tuple[int, ...], classes: int) -> Any:
    """Build the family's member: 8 channels, three stages of one block."""
    return FamilyNetwork(family="depthwise", width=8, stages=3).build(input_shape, classes)


NETS: Final = {"resnet8": resnet8, "depthwise": depthwise}


def trained(name: str, dataset: Dataset) -> Path:
    """The trained network's .keras in the cache; made where it is not there.

    Args:
        name: of `NETS`.
        dataset: it is trained on 8,000 images of its training part, for two epochs.
    """
    import keras

    key = f"{name}-{dataset.name}-{IMAGES}-{EPOCHS}-{BATCH}-{SEED}"
    folder = cache_folder() / "benchmarks"
    path = folder / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}.keras"
    if path.exists():
        return path
    keras.utils.set_random_seed(SEED)
    model = NETS[name](dataset.image_shape, dataset.num_classes)
    split = dataset.train.take(stratified_sample(dataset.train, min(IMAGES, len(dataset.train)), SEED))
    pixels = np.asarray(split.images, np.float32) / 255
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(2e-3), loss=loss)
    model.fit(pixels, split.labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(path)
    return path
