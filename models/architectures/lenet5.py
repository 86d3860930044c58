"""LeNet-5 (LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mnist_export.models.architectures.recipes import CALLBACKS_2020
from mnist_export.models.augmentation import Augmentation
from mnist_export.models.recipe import Optimizer, Recipe, Schedule
from mnist_export.models.registry import Architecture


def build(input_shape: tuple[int, ...] = (28, 28, 1), num_classes: int = 10) -> Any:
    """Conv 6 5x5 same, pool, Conv 16 5x5, pool, Dense 120, 84, logits; ReLU and max pooling."""
    from keras import Model, layers

    inputs = layers.Input(shape=input_shape, name="image")
    x = layers.Conv2D(6, 5, padding="same", activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(16, 5, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(120, activation="relu", name="dense1")(x)
    x = layers.Dense(84, activation="relu", name="dense2")(x)
    x = layers.Dense(num_classes, name="logits")(x)
    return Model(inputs, x, name="lenet5")


AUGMENTED = Recipe(
    name="augmented",
    source="this project's: small shifts, turns and zooms, and a cosine to a tenth of a thousandth",
    optimizer=Optimizer.ADAM,
    learning_rate=0.002,
    min_learning_rate=1e-5,
    batch_size=64,
    epochs=40,
    schedule=Schedule.COSINE,
    augmentation=Augmentation(shift=1.5, rotation=10.0, zoom=0.1, shear=5.0),
)

LENET5 = Architecture(
    name="lenet5",
    title="LeNet-5: two convolutions, three dense layers",
    parameters=61_706,
    recipes={"augmented": AUGMENTED, "seed": replace(CALLBACKS_2020)},
    seed_top1=0.99,
    seed_note="about 0.99 (the figure itself stands in a picture that is lost)",
    build=build,
)
