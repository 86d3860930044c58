from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.data import Dataset
from mnist_export.models.augmentation import Augmentation
from mnist_export.models.history import History
from mnist_export.models.recipe import Loss, Optimizer, Recipe, Schedule
from mnist_export.train.devices import Strategy, limit_gpu_memory, open_strategy
from mnist_export.train.job import Job, Outcome
from mnist_export.train.registry import TRAINERS

RECIPE = Recipe(
    name="test",
    source="",
    optimizer=Optimizer.ADAM,
    learning_rate=0.003,
    batch_size=32,
    epochs=3,
    schedule=Schedule.PLATEAU,
    augmentation=Augmentation(shift=1.0),
)


def _run(trainer: str, job: Job) -> Outcome:
    outcome: Outcome = TRAINERS.get(trainer)(job)
    return outcome


MIRRORED = """
import numpy as np
from mnist_export.train.devices import Strategy
from mnist_export.models.structure.engine import tensorflow
tf = tensorflow()
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
tf.config.set_visible_devices([cpu])
from dataclasses import replace
from mnist_export.data import load_dataset
from mnist_export.train.job import Job
from mnist_export.models.registry import ARCHITECTURES
from mnist_export.train.registry import TRAINERS
data = load_dataset("digits")
mlp = ARCHITECTURES.get("mlp")
recipe = mlp.recipe().with_changes(epochs=1, batch_size=64)
job = Job(name="mlp", build=mlp.build, dataset=data, recipe=recipe, notify=lambda _: None)
runs = [
    TRAINERS.get(trainer)(replace(job, strategy=strategy)).history.val_accuracy[0]
    for trainer in ("fit", "loop")
    for strategy in (Strategy.NONE, Strategy.MIRRORED)
]
print(runs)
assert min(runs) > 0.7 and max(runs) - min(runs) < 0.03, runs
"""


@pytest.fixture(scope="module", autouse=True)
def two_devices() -> Iterator[subprocess.Popen[str]]:
    """A process that has to divide its processor before TensorFlow starts; the other tests run meanwhile."""
    command = [sys.executable, "-c", MIRRORED]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture(scope="module")
def job(stripes: Dataset, keras: Any) -> Job:
    """A network with dropout and batch normalization, whose random and moving state must be kept too."""
    layers = keras.layers

    def build() -> Any:
        return keras.Sequential(
            [
                layers.Input((28, 28, 1)),
                layers.Conv2D(4, 5, strides=3, activation="relu"),
                layers.BatchNormalization(),
                layers.Flatten(),
                layers.Dropout(0.3),
                layers.Dense(4),
            ],
            name="tiny",
        )

    return Job(name="tiny", build=build, dataset=stripes, recipe=RECIPE, notify=lambda _: None)


@pytest.fixture(scope="module")
def whole(job: Job) -> dict[str, Outcome]:
    """What each trainer makes of the job, undisturbed."""
    return {trainer: _run(trainer, job) for trainer in ("fit", "loop")}


def _same(first: Outcome, second: Outcome) -> bool:
    pairs = zip(first.model.get_weights(), second.model.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_both_trainers_give_the_same_result_for_the_same_seed(whole: dict[str, Outcome]) -> None:
    fit, loop = whole["fit"], whole["loop"]
    # The same operators in the same order; XLA and fusing may differ in the last bits, so not bit for bit.
    np.testing.assert_allclose(fit.history.val_loss, loop.history.val_loss, rtol=1e-4)
    np.testing.assert_allclose(fit.history.loss, loop.history.loss, rtol=1e-4)
    assert fit.history.val_accuracy == pytest.approx(loop.history.val_accuracy, abs=1 / 64 + 1e-6)
    for a, b in zip(fit.model.get_weights(), loop.model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_a_seed_repeats_a_run_and_another_gives_another(job: Job, whole: dict[str, Outcome]) -> None:
    assert _same(whole["fit"], _run("fit", job))
    assert not _same(whole["fit"], _run("fit", replace(job, seed=1)))


@pytest.mark.parametrize("trainer", ["fit", "loop"])
def test_a_killed_training_goes_on_as_if_nothing_had_happened(
    job: Job, trainer: str, whole: dict[str, Outcome], tmp_path: Path
) -> None:
    def stop(message: str) -> None:
        if "epoch 2/" in message:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "run.npz"
    with pytest.raises(KeyboardInterrupt):
        _run(trainer, replace(job, checkpoint=checkpoint, notify=stop))
    assert checkpoint.exists()
    lines: list[str] = []
    resumed = _run(trainer, replace(job, checkpoint=checkpoint, notify=lines.append))
    assert "resuming after epoch 2 of 3" in lines[0]
    assert len(lines) == 2, "one epoch was left"
    assert _same(whole[trainer], resumed)
    assert whole[trainer].history.val_loss == resumed.history.val_loss
    assert not checkpoint.exists(), "a finished training leaves no checkpoint"


def test_a_checkpoint_of_another_job_or_a_damaged_one_is_not_taken_up(job: Job, tmp_path: Path) -> None:
    checkpoint = tmp_path / "run.npz"

    def stop(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _run("fit", replace(job, checkpoint=checkpoint, notify=stop))
    lines: list[str] = []
    _run("fit", replace(job, seed=3, checkpoint=checkpoint, notify=lines.append))
    assert len(lines) == RECIPE.epochs
    checkpoint.write_bytes(b"PK\x03\x04 damaged")
    lines.clear()
    _run("fit", replace(job, checkpoint=checkpoint, notify=lines.append))
    assert len(lines) == RECIPE.epochs


@pytest.mark.parametrize("trainer", ["fit", "loop"])
def test_rate_falls_on_a_plateau_and_training_stops_early(job: Job, trainer: str) -> None:
    # A rate of almost nothing learns nothing: every epoch is a plateau. No batch normalization, whose
    # moving averages would make the validation loss fall all the same.
    import keras

    def build() -> Any:
        layers = keras.layers
        return keras.Sequential([layers.Input((28, 28, 1)), layers.Flatten(), layers.Dense(4)])

    recipe = replace(
        RECIPE,
        learning_rate=4e-9,
        min_learning_rate=1e-9,
        epochs=9,
        plateau_patience=1,
        stop_patience=4,
        augmentation=Augmentation(),
    )
    history = _run(trainer, replace(job, recipe=recipe, build=build)).history
    assert history.learning_rate[0] == pytest.approx(4e-9)
    # Epoch 1 sets the best; 2 is no better and halves the rate, 3 halves it again, down to the floor.
    np.testing.assert_allclose(history.learning_rate, [4e-9, 4e-9, 2e-9, 1e-9, 1e-9], rtol=1e-6)
    assert history.epochs == 5, "four epochs without a better accuracy after the first"


@pytest.mark.parametrize("trainer", ["fit", "loop"])
def test_the_best_epoch_by_validation_is_kept_not_the_last(job: Job, trainer: str) -> None:
    from mnist_export.train.evaluation import evaluate

    outcome = _run(trainer, replace(job, recipe=replace(RECIPE, epochs=4, learning_rate=0.02)))
    best = outcome.history.best_epoch
    found = evaluate(outcome.model, job.dataset.validation, job.pixels)
    assert found.top1 == pytest.approx(outcome.history.val_accuracy[best])
    assert found.loss == pytest.approx(outcome.history.val_loss[best], rel=1e-4)


def test_best_epoch_prefers_accuracy_then_a_lower_loss() -> None:
    history = History(val_accuracy=(0.5, 0.9, 0.9, 0.8), val_loss=(1.0, 0.4, 0.3, 0.1))
    assert history.best_epoch == 2


def test_one_hot_labels_where_the_loss_needs_them(job: Job) -> None:
    recipe = replace(RECIPE, loss=Loss.CATEGORICAL, label_smoothing=0.1)
    assert _run("loop", replace(job, recipe=recipe)).history.epochs == 3


def test_a_diverging_training_says_so(job: Job) -> None:
    recipe = replace(RECIPE, optimizer=Optimizer.SGD, learning_rate=100.0, epochs=6)
    import keras

    def build() -> Any:
        layers = keras.layers
        stack = [layers.Dense(64) for _ in range(6)]
        return keras.Sequential([layers.Input((28, 28, 1)), layers.Flatten(), *stack, layers.Dense(4)])

    with pytest.raises(InputError, match=r"finite losses.*smaller `lr`"):
        _run("fit", replace(job, build=build, recipe=recipe))


def test_data_without_a_validation_part_is_refused(job: Job) -> None:
    data = job.dataset
    empty = replace(data, validation=data.validation.take(np.array([], np.int64)))
    with pytest.raises(InputError, match="expected a validation part"):
        _run("fit", replace(job, dataset=empty))


def test_a_model_that_disagrees_with_its_loss_is_stopped_before_training(
    job: Job, small_model: Callable[..., Any]
) -> None:
    lines: list[str] = []
    wrong = replace(job, build=lambda: small_model("softmax"), notify=lines.append)
    with pytest.raises(InputError, match=r"expected an output of shape|from_logits=True"):
        _run("fit", wrong)
    assert not lines


def test_mirrored_strategy_trains_on_two_devices_like_on_one(two_devices: subprocess.Popen[str]) -> None:
    _, err = two_devices.communicate(timeout=200)
    assert two_devices.returncode == 0, err[-2000:]


def test_multiworker_without_its_configuration_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match="TF_CONFIG"):
        open_strategy(Strategy.MULTIWORKER)


def test_gpu_memory_below_one_is_refused() -> None:
    with pytest.raises(InputError, match="`gpu_memory"):
        limit_gpu_memory(0)
