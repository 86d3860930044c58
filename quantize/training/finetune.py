"""Fine-tuning of a tf_keras model with a recipe's own trainer settings, small steps, best epoch kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mnist_export.core.batches import fitting
from mnist_export.core.errors import InputError
from mnist_export.core.pixel_rules import PixelRule
from mnist_export.core.pixels import InputRange
from mnist_export.data.request import to_stderr
from mnist_export.models.recipe import Optimizer, Recipe, Schedule
from mnist_export.quantize.training import distillation
from mnist_export.quantize.training.statistics import quick_statistics

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.quantize.training.aims import Aim

DEFAULT_RECIPE = Recipe(
    name="fine-tuning",
    source="Adam, batch 64 or what memory holds, for models whose own recipe is not known",
    optimizer=Optimizer.ADAM,
    learning_rate=0.001,
    batch_size=64,
    epochs=1,
)

_TRAINING_BYTES: Final = 2 << 30
_KEPT_ACTIVATIONS: Final = 512
"""Bytes that training keeps over those of the float32 input: every layer's output, and its gradient."""

RATE_FACTOR = 0.1
"""The usual `FineTuning.rate_factor`: small steps keep what the model knows."""


def default_recipe(image_shape: tuple[int, ...]) -> Recipe:
    """`DEFAULT_RECIPE` with a batch that memory holds for pictures of this shape."""
    each = math.prod(image_shape) * 4 * _KEPT_ACTIVATIONS
    size = fitting(each, budget_bytes=_TRAINING_BYTES, largest=DEFAULT_RECIPE.batch_size)
    return replace(DEFAULT_RECIPE, batch_size=size)


@dataclass(frozen=True, kw_only=True)
class FineTuning:
    """How a model is trained on.

    Attributes:
        dataset: its train part teaches, its validation part chooses the epoch.
        epochs: how many.
        recipe: the model's own, or None; its optimizer, batch size, loss and augmentation are taken.
        pixels: how pixels become what the model takes.
        seed: of the order of images and the augmentation.
        rate_factor: training starts at this share of the recipe's learning rate and falls to 0 along half a
            cosine.
        teacher: a tf_keras model of logits, such as the float one; None learns from labels alone.
        distillation: share of the loss that is the distance to the teacher's answers, 0 to 1; the rest is the
            distance to the labels.
        notify: receives one line an epoch.
        aim: where outputs are no classes; the data then has targets.
    """

    dataset: Dataset
    epochs: int = 3
    recipe: Recipe | None = None
    pixels: PixelRule = field(default_factory=InputRange)
    seed: int = 0
    rate_factor: float = RATE_FACTOR
    teacher: Any = None
    distillation: float = distillation.SHARE
    notify: Callable[[str], None] = to_stderr
    aim: Aim | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if not 1 <= self.epochs <= 1000:
            raise InputError(f"fine-tuning: expected 1 to 1000 epochs, found {self.epochs}. Try `qat=3`.")
        if not 0.0 <= self.distillation <= 1.0:
            raise InputError(
                f"`distill`: expected a share from 0 (labels alone) to 1, found {self.distillation:g}. "
                f"Try {distillation.SHARE:g}."
            )
        for part, split in (("training", self.dataset.train), ("validation", self.dataset.validation)):
            if not len(split):
                raise InputError(
                    f"fine-tuning on '{self.dataset.name}': expected a {part} part with images, found none. "
                    "Use other data."
                )

    @property
    def settings(self) -> Recipe:
        """The recipe that is carried out, for the number of epochs asked for."""
        return replace(
            self.recipe or default_recipe(self.dataset.image_shape),
            epochs=self.epochs,
            schedule=Schedule.CONSTANT,
            stop_patience=0,
        )

    @property
    def distills(self) -> bool:
        """Whether a teacher's logits are learned."""
        return self.teacher is not None and self.distillation > 0

    @property
    def steps(self) -> int:
        """Batches in all epochs."""
        return self.epochs * -(-len(self.dataset.train) // self.settings.batch_size)


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What fine-tuning came to.

    Attributes:
        val_accuracy: after each epoch, a fraction of 1.
        best_epoch: whose weights were kept, counted from 1.
        seconds: wall time of each epoch.
    """

    val_accuracy: tuple[float, ...]
    best_epoch: int
    seconds: tuple[float, ...]


def fine_tune(
    model: Any,
    how: FineTuning,
    *,
    name: str,
    callbacks: Sequence[Any] = (),
    accept_from: int = 0,
    after_epoch: Callable[[Any], None] | None = None,
) -> Tuned:
    """Train a tf_keras model of logits in place and leave it with its best epoch's weights.

    Args:
        model: float32 images to float32 logits.
        how: data, epochs and recipe.
        name: for messages.
        callbacks: tf_keras callbacks that the kind of model needs.
        accept_from: first epoch, counted from 0, whose weights may be kept.
        after_epoch: is called with the model before each epoch is judged.

    Returns:
        The validation accuracies and which epoch was kept.

    Raises:
        InputError: the loss is not finite.
    """
    import time

    import tf_keras

    from mnist_export.train.devices import seed_everything
    from mnist_export.train.pipeline import evaluation_batches, steps_per_epoch, training_batches

    data, recipe = how.dataset, how.settings
    seed_everything(how.seed)
    one_hot, classes = recipe.one_hot, data.num_classes if how.aim is None else how.aim.outputs
    model.compile(
        optimizer=_optimizer(recipe, how),
        loss=_loss(how),
        metrics=[_figure(how, classes)],
    )
    batches = training_batches(
        data.train, recipe, num_classes=classes, seed=how.seed, first_epoch=0, pixels=how.pixels
    )
    judged = evaluation_batches(data.validation, num_classes=classes, one_hot=one_hot, pixels=how.pixels)
    shape = tuple(model.input_shape[1:])
    if shape != tuple(data.image_shape):  # such as (784,) or (28, 28)
        batches, judged = _reshaped(batches, shape), _reshaped(judged, shape)
    if how.distills:
        ready = one_hot or how.aim is not None
        batches = distillation.taught(batches, how.teacher, classes, one_hot=ready)
        judged = distillation.taught(judged, how.teacher, classes, one_hot=ready)
    accuracies: list[float] = []
    seconds: list[float] = []
    best: list[Any] = []

    class Keeper(tf_keras.callbacks.Callback):  # type: ignore[misc]
        """Judges each epoch on the validation part and keeps the best weights."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if after_epoch is not None:
                after_epoch(self.model)
            loss = float((logs or {}).get("loss", float("nan")))
            found = float(self.model.evaluate(judged, verbose=0, return_dict=True)["accuracy"])
            seconds.append(time.perf_counter() - self.started)
            how.notify(
                f"{name}: epoch {epoch + 1}/{how.epochs}  loss {loss:.4f}  validation {found:.4f}  "
                f"{seconds[-1]:.1f} s"
            )
            if not np.isfinite(loss):
                raise InputError(
                    f"{name}: expected a finite loss, found {loss} in epoch {epoch + 1}. Check `input_range`."
                )
            if epoch >= accept_from and (not best or found > max(accuracies[accept_from:])):
                best[:] = self.model.get_weights()
            accuracies.append(found)

    with quick_statistics(model, how.steps):
        model.fit(
            batches,
            epochs=how.epochs,
            steps_per_epoch=steps_per_epoch(len(data.train), recipe.batch_size),
            callbacks=[*callbacks, Keeper()],
            verbose=0,
        )
    model.set_weights(best)
    chosen = max(range(accept_from, len(accuracies)), key=lambda epoch: (accuracies[epoch], -epoch))
    return Tuned(val_accuracy=tuple(accuracies), best_epoch=chosen + 1, seconds=tuple(seconds))


def _reshaped(batches: Any, shape: tuple[int, ...]) -> Any:
    import tensorflow as tf

    return batches.map(lambda x, y: (tf.reshape(x, (-1, *shape)), y))


def _loss(how: FineTuning) -> Any:
    import tf_keras

    recipe, losses = how.settings, tf_keras.losses
    if how.aim is not None:
        return distillation.aimed(how.aim, how.distillation) if how.distills else how.aim.loss
    if not (recipe.one_hot or how.distills):
        return losses.SparseCategoricalCrossentropy(from_logits=True)
    hard = losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    return distillation.loss(hard, how.dataset.num_classes, how.distillation) if how.distills else hard


def _figure(how: FineTuning, classes: int) -> Any:
    """The figure that chooses an epoch; it is called accuracy in any case."""
    if how.aim is not None:
        return distillation.score(how.aim, taught=how.distills)
    return distillation.accuracy(classes) if how.distills else "accuracy"


def _optimizer(recipe: Recipe, how: FineTuning) -> Any:
    import tf_keras

    rate = tf_keras.optimizers.schedules.CosineDecay(recipe.learning_rate * how.rate_factor, how.steps)
    makers: dict[Optimizer, Callable[[], Any]] = {
        Optimizer.ADAM: lambda: tf_keras.optimizers.Adam(rate),
        Optimizer.RMSPROP: lambda: tf_keras.optimizers.RMSprop(rate),
        Optimizer.ADAGRAD: lambda: tf_keras.optimizers.Adagrad(rate),
        Optimizer.ADADELTA: lambda: tf_keras.optimizers.Adadelta(rate, rho=0.95),
        Optimizer.SGD: lambda: tf_keras.optimizers.SGD(rate, momentum=0.9),
    }
    return makers[recipe.optimizer]()
