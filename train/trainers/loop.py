"""The trainer `loop`: a training loop of one's own over ``tf.GradientTape``, step by step."""

from __future__ import annotations

from typing import Any

from mnist_export.models.structure.engine import tensorflow
from mnist_export.train.job import Job, Outcome
from mnist_export.train.trainers.setup import Prepared, finish, make_loss, prepare


def train(job: Job) -> Outcome:
    """Train with a custom loop; see `mnist_export.train.job.Trainer`.

    The callbacks are those of ``fit``, called at the same places, so that the two differ in nothing
    but who turns the crank.

    Raises:
        InputError: the job cannot be trained; the message says why.
    """
    ready = prepare(job)
    if ready.first_epoch < job.recipe.epochs:
        _run(ready)
    return finish(ready)


def _run(ready: Prepared) -> None:
    import keras

    model, strategy = ready.model, ready.strategy
    with strategy.scope():
        meters = _Meters(ready)
    training = iter(strategy.experimental_distribute_dataset(ready.train))
    validation = strategy.experimental_distribute_dataset(ready.validation)
    step, judge = _functions(ready, meters)
    callbacks = keras.callbacks.CallbackList(ready.callbacks, model=model)
    model.stop_training = False
    callbacks.on_train_begin()
    for epoch in range(ready.first_epoch, ready.job.recipe.epochs):
        meters.reset()
        callbacks.on_epoch_begin(epoch)
        logs: dict[str, float] = {}
        for batch in range(ready.steps):
            callbacks.on_train_batch_begin(batch)
            step(*next(training))
            logs = meters.read()
            callbacks.on_train_batch_end(batch, logs)
        meters.reset()
        for x, y in validation:
            judge(x, y)
        logs = logs | {f"val_{key}": value for key, value in meters.read().items()}
        callbacks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    callbacks.on_train_end()


class _Meters:
    """Running means over the images of an epoch."""

    def __init__(self, ready: Prepared) -> None:
        import keras

        self.loss = keras.metrics.Mean(name="loss")
        self.accuracy = (
            keras.metrics.CategoricalAccuracy()
            if ready.job.recipe.one_hot
            else keras.metrics.SparseCategoricalAccuracy()
        )

    def reset(self) -> None:
        self.loss.reset_state()
        self.accuracy.reset_state()

    def update(self, loss: Any, count: Any, labels: Any, logits: Any) -> None:
        self.loss.update_state(loss, sample_weight=count)
        self.accuracy.update_state(labels, logits)

    def read(self) -> dict[str, float]:
        return {"loss": float(self.loss.result()), "accuracy": float(self.accuracy.result())}


def _functions(ready: Prepared, meters: _Meters) -> tuple[Any, Any]:
    tf = tensorflow()
    model, strategy = ready.model, ready.strategy
    loss_of = make_loss(ready.job.recipe)
    replicas = strategy.num_replicas_in_sync

    def one_step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            loss = loss_of(y, logits)
            # Gradients are summed over replicas, so that each contributes its share of the mean.
            scaled = loss / replicas
        gradients = tape.gradient(scaled, model.trainable_variables)
        model.optimizer.apply(gradients, model.trainable_variables)
        meters.update(loss, tf.shape(x)[0], y, logits)

    def one_judgement(x: Any, y: Any) -> None:
        logits = model(x, training=False)
        meters.update(loss_of(y, logits), tf.shape(x)[0], y, logits)

    @tf.function(jit_compile=ready.jit)  # type: ignore[untyped-decorator]
    def step(x: Any, y: Any) -> None:
        strategy.run(one_step, args=(x, y))

    @tf.function  # type: ignore[untyped-decorator]
    def judge(x: Any, y: Any) -> None:
        strategy.run(one_judgement, args=(x, y))

    return step, judge
