"""Trainers by name."""

from __future__ import annotations

from mnist_export.core.registry import LazyRegistry
from mnist_export.train.job import Trainer

TRAINERS: LazyRegistry[Trainer] = LazyRegistry(
    "trainer",
    {
        "fit": "mnist_export.train.trainers.fit:train",
        "loop": "mnist_export.train.trainers.loop:train",
    },
)
