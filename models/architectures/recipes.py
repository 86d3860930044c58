"""The recipe that several architectures share."""

from __future__ import annotations

from mnist_export.models.recipe import Optimizer, Recipe, Schedule

CALLBACKS_2020 = Recipe(
    name="seed",
    source="Adam at 0.001, batch 32, 20 epochs, best checkpoint, rate halved on a plateau, early stop",
    optimizer=Optimizer.ADAM,
    learning_rate=0.001,
    batch_size=32,
    epochs=20,
    schedule=Schedule.PLATEAU,
    stop_patience=6,
)
