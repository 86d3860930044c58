"""The trainer `fit`: Keras's compile and fit."""

from __future__ import annotations

from mnist_export.train.job import Job, Outcome
from mnist_export.train.trainers.setup import finish, prepare


def train(job: Job) -> Outcome:
    """Train with ``Model.fit``; see `mnist_export.train.job.Trainer`.

    Raises:
        InputError: the job cannot be trained; the message says why.
    """
    ready = prepare(job)
    if ready.first_epoch < job.recipe.epochs:
        ready.model.fit(
            ready.train,
            validation_data=ready.validation,
            initial_epoch=ready.first_epoch,
            epochs=job.recipe.epochs,
            steps_per_epoch=ready.steps,
            callbacks=ready.callbacks,
            shuffle=False,  # the pipeline has an order of its own for each epoch
            verbose=0,
        )
    return finish(ready)
