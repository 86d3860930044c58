"""Networks of dense layers only."""

from __future__ import annotations

from typing import Any

from mnist_export.models.architectures.recipes import CALLBACKS_2020
from mnist_export.models.augmentation import Augmentation
from mnist_export.models.recipe import Loss, Optimizer, Recipe, Schedule
from mnist_export.models.registry import Architecture


def _stack(
    name: str,
    widths: tuple[int, ...],
    activation: str | None,
    input_shape: tuple[int, ...],
    num_classes: int,
) -> Any:
    from keras import Model, layers

    inputs = layers.Input(shape=input_shape, name="image")
    x = layers.Flatten(name="flatten")(inputs)
    for number, width in enumerate(widths, start=1):
        x = layers.Dense(width, activation=activation, name=f"dense{number}")(x)
    x = layers.Dense(num_classes, name="logits")(x)
    return Model(inputs, x, name=name)


def build_mlp(input_shape: tuple[int, ...] = (28, 28, 1), num_classes: int = 10) -> Any:
    """Flatten, Dense 128 with ReLU, logits."""
    return _stack("mlp", (128,), "relu", input_shape, num_classes)


def build_mlp512(input_shape: tuple[int, ...] = (28, 28, 1), num_classes: int = 10) -> Any:
    """Flatten, Dense 512 with ReLU, logits."""
    return _stack("mlp512", (512,), "relu", input_shape, num_classes)


def build_dense1024(input_shape: tuple[int, ...] = (28, 28, 1), num_classes: int = 10) -> Any:
    """Flatten, Dense 1024, 512, 128, logits: no activation in between, so a linear map in four factors."""
    return _stack("dense1024", (1024, 512, 128), None, input_shape, num_classes)


AUGMENTED = Recipe(
    name="augmented",
    source="this project's: batch 64, shifts of up to a pixel, small turns, and a cosine",
    optimizer=Optimizer.ADAM,
    learning_rate=0.002,
    min_learning_rate=1e-5,
    batch_size=64,
    epochs=30,
    schedule=Schedule.COSINE,
    augmentation=Augmentation(shift=0.7, rotation=6.0, zoom=0.05),
)

MLP = Architecture(
    name="mlp",
    title="one hidden layer of 128",
    parameters=101_770,
    recipes={"seed": CALLBACKS_2020, "augmented": AUGMENTED},
    seed_top1=0.98,
    seed_note="about 0.98 (the figure itself stands in a picture that is lost)",
    build=build_mlp,
)

MLP512 = Architecture(
    name="mlp512",
    title="one hidden layer of 512",
    parameters=407_050,
    recipes={
        "seed": Recipe(
            name="seed",
            source="RMSprop at 0.001, batch 128, 5 epochs, one-hot labels",
            optimizer=Optimizer.RMSPROP,
            learning_rate=0.001,
            batch_size=128,
            epochs=5,
            loss=Loss.CATEGORICAL,
        )
    },
    seed_top1=0.9751,
    seed_note="0.9751 after 5 epochs, but fitted on the test images themselves",
    build=build_mlp512,
)

DENSE1024 = Architecture(
    name="dense1024",
    title="four dense layers with no activation between them (a linear classifier in disguise)",
    parameters=1_395_594,
    recipes={
        "seed": Recipe(
            name="seed",
            source="Adadelta at 1.0 (its default of that time), batch 256, 12 epochs, one-hot labels",
            optimizer=Optimizer.ADADELTA,
            learning_rate=1.0,
            batch_size=256,
            epochs=12,
            loss=Loss.CATEGORICAL,
        )
    },
    seed_top1=None,
    seed_note="none given",
    build=build_dense1024,
)
