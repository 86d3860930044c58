"""A trained model with its card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mnist_export.models.card import ModelCard


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained model.

    Attributes:
        model: Keras 3, with the weights of the best epoch.
        card: what it is.
    """

    model: Any
    card: ModelCard
