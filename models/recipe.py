"""Recipes: how an architecture is trained, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import StrEnum
from mnist_export.models.augmentation import Augmentation


class Optimizer(StrEnum):
    """Optimizers that the recipes use."""

    ADAM = "adam"
    RMSPROP = "rmsprop"
    ADAGRAD = "adagrad"
    ADADELTA = "adadelta"
    SGD = "sgd"


class Loss(StrEnum):
    """Losses, always computed from logits; the second takes one-hot labels."""

    SPARSE = "sparse_categorical_crossentropy"
    CATEGORICAL = "categorical_crossentropy"


class Schedule(StrEnum):
    """What happens to the learning rate from epoch to epoch."""

    CONSTANT = "constant"
    PLATEAU = "plateau"
    COSINE = "cosine"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to train.

    Attributes:
        name: what it is called in a model card, such as ``"seed"``.
        source: where it comes from, in one sentence.
        optimizer: which optimizer.
        learning_rate: at the start.
        batch_size: images a step.
        epochs: at most.
        loss: the loss, from logits.
        schedule: ``plateau`` halves the rate when the validation loss has not fallen for
            `plateau_patience` epochs, down to `min_learning_rate`; ``cosine`` lets it fall along half
            a cosine to `min_learning_rate` in the last epoch.
        plateau_factor: what the rate is multiplied by on a plateau.
        plateau_patience: epochs.
        min_learning_rate: the schedule's floor.
        stop_patience: epochs without a better validation accuracy before training stops; 0 never stops.
        label_smoothing: share of a label spread over all classes; needs one-hot labels.
        accumulator: Adagrad's initial accumulator.
        augmentation: changes to training images; off unless named.
    """

    name: str
    source: str
    optimizer: Optimizer
    learning_rate: float
    batch_size: int
    epochs: int
    loss: Loss = Loss.SPARSE
    schedule: Schedule = Schedule.CONSTANT
    plateau_factor: float = 0.5
    plateau_patience: int = 4
    min_learning_rate: float = 1e-4
    stop_patience: int = 0
    label_smoothing: float = 0.0
    accumulator: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        """Refuse values that no training can use."""
        if not (math.isfinite(self.learning_rate) and 0 < self.learning_rate <= 100):
            raise InputError(
                f"`lr`: expected a number above 0 and at most 100, found {self.learning_rate:g}. Try 0.001."
            )
        if not 1 <= self.batch_size <= 65536:
            raise InputError(f"`batch_size`: expected 1 to 65536, found {self.batch_size}. Try 32.")
        if not 1 <= self.epochs <= 100_000:
            raise InputError(f"`epochs`: expected 1 to 100000, found {self.epochs}. Try 20.")
        if not 0.0 <= self.label_smoothing < 1.0:
            raise InputError(f"label smoothing: expected 0 to below 1, found {self.label_smoothing:g}.")
        if self.label_smoothing and self.loss is not Loss.CATEGORICAL:
            raise InputError(f"label smoothing: expected the loss {Loss.CATEGORICAL}, found {self.loss}.")

    @property
    def one_hot(self) -> bool:
        """Whether the loss takes one-hot labels."""
        return self.loss is Loss.CATEGORICAL

    def learning_rate_at(self, epoch: int) -> float | None:
        """The rate that the schedule fixes for an epoch, counted from 0; None where it depends on results."""
        if self.schedule is Schedule.COSINE:
            share = epoch / max(1, self.epochs - 1)
            swing = 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))
            return self.min_learning_rate + (self.learning_rate - self.min_learning_rate) * swing
        return None

    def with_changes(self, **changes: Any) -> Recipe:
        """A copy with the given fields changed (None leaves one alone); its name says ``+changes``."""
        given = {key: value for key, value in changes.items() if value is not None}
        changed = {key: value for key, value in given.items() if value != getattr(self, key)}
        if not changed:
            return self
        name = self.name if self.name.endswith("+changes") else f"{self.name}+changes"
        return replace(self, name=name, **changed)

    def to_json(self) -> dict[str, Any]:
        """A plain mapping that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Recipe:
        """Rebuild a recipe from `to_json`'s mapping.

        Raises:
            InputError: fields are missing, unknown or of the wrong kind.
        """
        try:
            fields_ = dict(value)
            fields_["optimizer"] = Optimizer(fields_["optimizer"])
            fields_["loss"] = Loss(fields_["loss"])
            fields_["schedule"] = Schedule(fields_["schedule"])
            fields_["augmentation"] = Augmentation(**fields_["augmentation"])
            return cls(**fields_)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"recipe in a model card: expected the fields of a recipe, found {error}."
            ) from error
