"""The callbacks of a training: Keras's own where there is one, the same list for both trainers."""

from __future__ import annotations

import math
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from mnist_export.models.history import History
from mnist_export.models.recipe import Schedule
from mnist_export.models.structure.engine import tensorflow
from mnist_export.train.checkpoint import Checkpoint, identity_of
from mnist_export.train.checks import FIRST_BATCHES, stuck_loss
from mnist_export.train.job import Job

# Attributes of Keras's callbacks that decide what they do next; `on_train_begin` resets them.
_KEPT = ("best", "wait", "cooldown_counter", "stopped_epoch", "best_epoch")


def make_callbacks(job: Job, steps: int, saved: Checkpoint | None) -> tuple[list[Any], Any]:
    """Build the callbacks of a job, in the order in which they must be called.

    Args:
        job: what is trained.
        steps: of an epoch.
        saved: a checkpoint that is taken up, or None.

    Returns:
        The list, and its last member, the keeper: its ``history()`` and ``best`` are the results.
    """
    tensorflow()
    import keras

    recipe = job.recipe
    engines: list[Any] = []
    if recipe.schedule is Schedule.PLATEAU:
        engines.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor="val_loss",
                mode="min",
                factor=recipe.plateau_factor,
                patience=recipe.plateau_patience,
                min_lr=recipe.min_learning_rate,
            )
        )
    elif recipe.schedule is Schedule.COSINE:
        engines.append(keras.callbacks.LearningRateScheduler(recipe.learning_rate_at))
    if recipe.stop_patience:
        engines.append(
            keras.callbacks.EarlyStopping(monitor="val_accuracy", mode="max", patience=recipe.stop_patience)
        )
    watcher = _watcher(job)
    keeper = _keeper(job, engines, saved)
    shown = [_bar(job, steps)] if job.progress else []
    return [*shown, watcher, *engines, keeper], keeper


def _keeper(job: Job, engines: list[Any], saved: Checkpoint | None) -> Any:
    import keras

    class Keeper(keras.callbacks.Callback):  # type: ignore[misc]
        """Keeps the best weights and the history, and writes the checkpoint after every epoch."""

        def __init__(self) -> None:
            super().__init__()
            self.best: list[Any] = list(saved.best) if saved else []
            self.rows: dict[str, list[float]] = (
                {key: list(values) for key, values in saved.history.items()} if saved else {}
            )
            self.identity = identity_of(job) if job.checkpoint else ""
            self.rate = 0.0
            self.started = 0.0

        def on_train_begin(self, logs: Any = None) -> None:
            if saved:
                for engine in engines:
                    for key, value in saved.callbacks.get(type(engine).__name__, {}).items():
                        setattr(engine, key, value)

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            rate = self.rate
            values = {key: float(logs[key]) for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
            values |= {"learning_rate": rate, "seconds": time.perf_counter() - self.started}
            for key, value in values.items():
                self.rows.setdefault(key, []).append(value)
            if self.history().best_epoch == len(self.rows["loss"]) - 1 or not self.best:
                self.best = [np.array(value) for value in self.model.get_weights()]
            stopped = job.should_stop is not None and job.should_stop(epoch, values["val_accuracy"])
            if stopped or not math.isfinite(values["loss"]):
                self.model.stop_training = True
            if job.checkpoint is not None:
                self._write(epoch + 1, job.checkpoint)
            job.notify(
                f"{job.name}: epoch {epoch + 1}/{job.recipe.epochs}  loss {values['loss']:.4f} "
                f"{values['accuracy']:.4f}  validation {values['val_loss']:.4f} {values['val_accuracy']:.4f} "
                f" rate {rate:.2g}  {values['seconds']:.1f} s"
            )

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            # Read while the epoch runs: the plateau's rule changes the rate before `on_epoch_end` here.
            if batch == 0:
                self.rate = float(np.asarray(self.model.optimizer.learning_rate))

        def _write(self, next_epoch: int, path: Path) -> None:
            states = {
                type(engine).__name__: {
                    key: _plain(getattr(engine, key)) for key in _KEPT if hasattr(engine, key)
                }
                for engine in engines
            }
            variables = [*self.model.variables, *self.model.optimizer.variables]
            Checkpoint(
                identity=self.identity,
                next_epoch=job.recipe.epochs if self.model.stop_training else next_epoch,
                history=self.rows,
                callbacks=states,
                variables=[np.asarray(variable) for variable in variables],
                best=self.best,
            ).save(path)

        def history(self) -> History:
            return History(**{key: tuple(values) for key, values in self.rows.items()})

    return Keeper()


def _plain(value: Any) -> Any:
    return None if value is None else value if isinstance(value, int) else float(np.asarray(value))


def _watcher(job: Job) -> Any:
    import keras

    class Watcher(keras.callbacks.Callback):  # type: ignore[misc]
        """Looks at the first batches' loss: one that stays at ln(classes) means that nothing is learned."""

        def __init__(self) -> None:
            super().__init__()
            self.running: list[float] = []
            self.done = False

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if not self.done:
                self.running.append(float(logs["loss"]))
                self.done = len(self.running) >= FIRST_BATCHES
                if self.done:
                    self._judge()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.done = True

        def _judge(self) -> None:
            # Keras reports the mean since the epoch's start; take the batches' own losses out of it.
            sums = [mean * (number + 1) for number, mean in enumerate(self.running)]
            losses = [sums[0], *(after - before for before, after in pairwise(sums))]
            if message := stuck_loss(losses, job.dataset.num_classes):
                job.notify(f"warning: {job.name}: {message}")

    return Watcher()


def _bar(job: Job, steps: int) -> Any:
    import keras
    from tqdm import tqdm

    class Bar(keras.callbacks.Callback):  # type: ignore[misc]
        """One bar an epoch, on stderr, gone when the epoch's line is printed."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.bar = tqdm(
                total=steps, desc=f"{job.name} {epoch + 1}/{job.recipe.epochs}", unit="batch", leave=False
            )

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.bar.update(1)
            if logs and batch % 20 == 0:
                self.bar.set_postfix(loss=f"{float(logs['loss']):.4f}", refresh=False)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.bar.close()

    return Bar()
