"""Train: the zoo, its recipes and trainers; loading of shipped, trained and foreign Keras models.

Importing this needs no TensorFlow: it is imported when a model is built, trained or loaded.
"""

from __future__ import annotations

from mnist_export.train.card import ModelCard, refuse_training_data
from mnist_export.train.loaded import LoadedModel, ModelSource
from mnist_export.train.loading import load_model
from mnist_export.train.recipe import Recipe
from mnist_export.train.registry import ARCHITECTURES, TRAINERS
from mnist_export.train.training import Trained, train_architecture

__all__ = [
    "ARCHITECTURES",
    "TRAINERS",
    "LoadedModel",
    "ModelCard",
    "ModelSource",
    "Recipe",
    "Trained",
    "load_model",
    "refuse_training_data",
    "train_architecture",
]
