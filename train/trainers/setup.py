"""What both trainers do before their first step and after their last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mnist_export.core.errors import InputError
from mnist_export.models.recipe import Loss, Optimizer, Recipe
from mnist_export.models.structure.engine import tensorflow
from mnist_export.train import devices
from mnist_export.train.callbacks import make_callbacks
from mnist_export.train.checkpoint import Checkpoint, identity_of
from mnist_export.train.checks import check_before_training
from mnist_export.train.job import Job, Outcome
from mnist_export.train.pipeline import evaluation_batches, steps_per_epoch, training_batches


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A job that is ready to run.

    Attributes:
        job: what was asked for.
        strategy: of ``tf.distribute``.
        model: compiled, with the state of a checkpoint if one was taken up.
        first_epoch: counted from 0.
        steps: of an epoch.
        train: all batches of the epochs to run.
        validation: batches of the validation part.
        callbacks: in the order in which they are called.
        keeper: the callback that holds the best weights and the history.
        jit: whether steps are compiled by XLA.
    """

    job: Job
    strategy: Any
    model: Any
    first_epoch: int
    steps: int
    train: Any
    validation: Any
    callbacks: list[Any]
    keeper: Any
    jit: bool


def make_optimizer(recipe: Recipe) -> Any:
    """Build the recipe's Keras optimizer.

    Adadelta uses rho 0.95 and Adagrad the recipe's accumulator; the rest are Keras's defaults.
    """
    from keras import optimizers

    rate = recipe.learning_rate
    if recipe.optimizer is Optimizer.ADAM:
        return optimizers.Adam(rate)
    if recipe.optimizer is Optimizer.RMSPROP:
        return optimizers.RMSprop(rate)
    if recipe.optimizer is Optimizer.ADAGRAD:
        return optimizers.Adagrad(rate, initial_accumulator_value=recipe.accumulator)
    if recipe.optimizer is Optimizer.ADADELTA:
        return optimizers.Adadelta(rate, rho=0.95)
    return optimizers.SGD(rate, momentum=0.9)


def make_loss(recipe: Recipe) -> Any:
    """Build the recipe's loss; it takes logits."""
    from keras import losses

    if recipe.loss is Loss.CATEGORICAL:
        return losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    return losses.SparseCategoricalCrossentropy(from_logits=True)


def prepare(job: Job) -> Prepared:
    """Seed, build, check, compile and, where a checkpoint fits, take it up.

    Raises:
        InputError: there is no validation part, or the model fails a check.
    """
    data, recipe = job.dataset, job.recipe
    for part, split in (("training", data.train), ("validation", data.validation)):
        if not len(split):
            raise InputError(f"training on {data.name}: expected a {part} part with images, found none.")
    tf = tensorflow()
    if job.gpu_memory_mib is not None and not devices.limit_gpu_memory(job.gpu_memory_mib):
        job.notify(
            f"{job.name}: `gpu_memory` changes nothing, this machine has no GPU that TensorFlow can use"
        )
    devices.seed_everything(job.seed)
    strategy = devices.open_strategy(job.strategy)
    # XLA on a CPU is slower for these models, and is not for steps that are spread over devices.
    jit = bool(tf.config.list_physical_devices("GPU")) and job.strategy is devices.Strategy.NONE
    with strategy.scope():
        model = job.build()
        loss = make_loss(recipe)
        check_before_training(model, loss, data.num_classes)
        model.compile(optimizer=make_optimizer(recipe), loss=loss, metrics=["accuracy"], jit_compile=jit)
        model.optimizer.build(model.trainable_variables)
        saved = _take_up(job, model)
    first = saved.next_epoch if saved else 0
    steps = steps_per_epoch(len(data.train), recipe.batch_size)
    callbacks, keeper = make_callbacks(job, steps, saved)
    return Prepared(
        job=job,
        strategy=strategy,
        model=model,
        first_epoch=first,
        steps=steps,
        train=training_batches(
            data.train,
            recipe,
            num_classes=data.num_classes,
            seed=job.seed,
            first_epoch=first,
            pixels=job.pixels,
        ),
        validation=evaluation_batches(
            data.validation, num_classes=data.num_classes, one_hot=recipe.one_hot, pixels=job.pixels
        ),
        callbacks=callbacks,
        keeper=keeper,
        jit=jit,
    )


def _take_up(job: Job, model: Any) -> Checkpoint | None:
    if not (job.checkpoint and job.resume):
        return None
    saved = Checkpoint.load(job.checkpoint, identity_of(job))
    variables = [*model.variables, *model.optimizer.variables]
    if saved is None or [tuple(v.shape) for v in variables] != [v.shape for v in saved.variables]:
        return None
    for variable, value in zip(variables, saved.variables, strict=True):
        variable.assign(value)
    job.notify(f"{job.name}: resuming after epoch {saved.next_epoch} of {job.recipe.epochs}")
    return saved


def finish(prepared: Prepared) -> Outcome:
    """Put the best epoch's weights into the model and delete the checkpoint.

    Raises:
        InputError: the loss became NaN or infinite.
    """
    job, model = prepared.job, prepared.model
    history = prepared.keeper.history()
    if not np.all(np.isfinite(history.loss)):
        raise InputError(
            f"training {job.name}: expected finite losses, found {history.loss[-1]} in epoch "
            f"{history.epochs}. Use a smaller `lr`."
        )
    model.set_weights(prepared.keeper.best)
    model.stop_training = False
    if job.checkpoint:
        job.checkpoint.unlink(missing_ok=True)
    return Outcome(
        model=model, history=history, seconds=float(sum(history.seconds)), device=devices.device_name()
    )
