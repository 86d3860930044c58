"""A deeper convolutional network, and a still deeper one with its ablations."""

from __future__ import annotations

from functools import partial
from typing import Any

from mnist_export.models.architectures.recipes import CALLBACKS_2020
from mnist_export.models.augmentation import Augmentation
from mnist_export.models.recipe import Optimizer, Recipe, Schedule
from mnist_export.models.registry import Architecture


def build_custom1(input_shape: tuple[int, ...] = (28, 28, 1), num_classes: int = 10) -> Any:
    """Conv 32 same, pool, Conv 64, pool, Conv 64 (all 3x3), Dense 64, logits."""
    from keras import Model, layers

    inputs = layers.Input(shape=input_shape, name="image")
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.Conv2D(64, 3, activation="relu", name="conv3")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(64, activation="relu", name="dense1")(x)
    x = layers.Dense(num_classes, name="logits")(x)
    return Model(inputs, x, name="custom1")


def build_deep(
    input_shape: tuple[int, ...] = (28, 28, 1),
    num_classes: int = 10,
    *,
    name: str,
    normalize: bool,
    dropout: bool,
) -> Any:
    """Three blocks of two 3x3 convolutions (32, 64, 128) and a pool, Dense 128, logits.

    Args:
        input_shape: without the batch.
        num_classes: width of the output.
        name: the model's name.
        normalize: BatchNormalization after the first convolution of each block (after its ReLU).
        dropout: Dropout 0.3 after each block and 0.4 before the logits.
    """
    from keras import Model, layers

    inputs = layers.Input(shape=input_shape, name="image")
    x = inputs
    for block, filters in enumerate((32, 64, 128), start=1):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{block}a")(x)
        if normalize:
            x = layers.BatchNormalization(name=f"norm{block}")(x)
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{block}b")(x)
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x)
        if dropout:
            x = layers.Dropout(0.3, name=f"dropout{block}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense1")(x)
    if dropout:
        x = layers.Dropout(0.4, name="dropout4")(x)
    x = layers.Dense(num_classes, name="logits")(x)
    return Model(inputs, x, name=name)


AUGMENTED = Recipe(
    name="augmented",
    source="this project's: batch 64, small shifts, turns and zooms, and a cosine of the learning rate",
    optimizer=Optimizer.ADAM,
    learning_rate=0.002,
    min_learning_rate=1e-5,
    batch_size=64,
    epochs=20,
    schedule=Schedule.COSINE,
    augmentation=Augmentation(shift=2.0, rotation=10.0, zoom=0.1, shear=5.0),
)

_LOST = "(the figure itself stands in a picture that is lost)"

CUSTOM1 = Architecture(
    name="custom1",
    title="three convolutions 32-64-64, dense 64",
    parameters=121_994,
    recipes={"seed": CALLBACKS_2020, "augmented": AUGMENTED},
    seed_top1=0.992,
    seed_note=f"about 0.992 {_LOST}",
    build=build_custom1,
)


def _deep(name: str, title: str, parameters: int, *, normalize: bool, dropout: bool) -> Architecture:
    top1 = 0.9961 if name == "custom2" else None
    return Architecture(
        name=name,
        title=title,
        parameters=parameters,
        recipes={"seed": CALLBACKS_2020, "augmented": AUGMENTED},
        seed_top1=top1,
        seed_note="0.9961" if top1 else f"between custom1's and custom2's {_LOST}",
        build=partial(build_deep, name=name, normalize=normalize, dropout=dropout),
    )


CUSTOM2 = _deep(
    "custom2", "six convolutions with BatchNorm and Dropout", 436_202, normalize=True, dropout=True
)
CUSTOM3 = _deep("custom3", "custom2 without BatchNorm and Dropout", 435_306, normalize=False, dropout=False)
CUSTOM4 = _deep("custom4", "custom2 without BatchNorm", 435_306, normalize=False, dropout=True)
CUSTOM5 = _deep("custom5", "custom2 without Dropout", 436_202, normalize=True, dropout=False)
