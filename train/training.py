"""From an architecture's name and a data set to a trained model with its card."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.core.cache import cache_folder
from mnist_export.core.pixels import InputRange
from mnist_export.data.request import to_stderr
from mnist_export.models.card import ModelCard, TrainingData, refuse_overlap
from mnist_export.models.recipe import Recipe
from mnist_export.models.registry import ARCHITECTURES, Architecture
from mnist_export.models.trained import Trained
from mnist_export.train.devices import Strategy
from mnist_export.train.job import Job, Notify
from mnist_export.train.registry import TRAINERS

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset


def versions() -> dict[str, str]:
    """Versions of the packages that a training depends on."""
    found: dict[str, str] = {}
    for package in ("mnist-export", "tensorflow", "keras", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def train_architecture(
    name: str,
    dataset: Dataset,
    *,
    recipe: Recipe | None = None,
    trainer: str = "fit",
    seed: int = 0,
    resume: bool = True,
    strategy: Strategy = Strategy.NONE,
    gpu_memory_mib: int | None = None,
    progress: bool = False,
    notify: Notify = to_stderr,
) -> Trained:
    """Train one architecture, choose the best epoch on validation data, then look at the test part once.

    Args:
        name: in the zoo.
        dataset: what to train on.
        recipe: how; None takes the architecture's own.
        trainer: ``"fit"`` or ``"loop"``.
        seed: of everything that is random.
        resume: take up the checkpoint of a killed training of the same job.
        strategy: over which devices.
        gpu_memory_mib: cap a GPU.
        progress: draw bars.
        notify: receives messages.

    Raises:
        InputError: an unknown name, or data or a recipe that cannot be trained.
    """
    architecture = ARCHITECTURES.get(name)
    run = TRAINERS.get(trainer)
    chosen = recipe or architecture.recipe()
    pixels = InputRange()
    build = _builder(architecture, dataset)
    training_data = TrainingData.of(dataset)
    refuse_overlap(dataset, training_data)
    job = Job(
        name=f"{name}-{dataset.name}",
        build=build,
        dataset=dataset,
        recipe=chosen,
        seed=seed,
        pixels=pixels,
        checkpoint=_checkpoint_path(name, dataset, chosen, seed),
        resume=resume,
        strategy=strategy,
        gpu_memory_mib=gpu_memory_mib,
        progress=progress,
        notify=notify,
    )
    outcome = run(job)
    return Trained(
        model=outcome.model,
        card=_card(job, architecture, outcome, training_data, trainer=trainer),
    )


def _builder(architecture: Architecture, dataset: Dataset) -> Callable[[], Any]:
    return lambda: architecture.build_for(tuple(dataset.image_shape), dataset.num_classes)


def _checkpoint_path(name: str, dataset: Dataset, recipe: Recipe, seed: int) -> Path:
    described = f"{name} {dataset.name} {recipe} {seed}".encode()
    digest = hashlib.sha256(described).hexdigest()[:12]
    return cache_folder() / "training" / f"{name}-{digest}.npz"


def _card(
    job: Job, architecture: Architecture, outcome: Any, training_data: TrainingData, *, trainer: str
) -> ModelCard:
    from mnist_export.models.structure.macs import count_macs
    from mnist_export.models.weights_file import weights_sha256
    from mnist_export.train.evaluation import evaluate

    model, data = outcome.model, job.dataset
    return ModelCard(
        name=job.name,
        architecture=architecture.name,
        data=training_data,
        input_shape=tuple(data.image_shape),
        input_range=(job.pixels.lo, job.pixels.hi),
        num_classes=data.num_classes,
        parameters=int(model.count_params()),
        macs=count_macs(model),
        recipe=job.recipe.to_json(),
        trainer=trainer,
        seed=job.seed,
        history=outcome.history,
        epochs_run=outcome.history.epochs,
        best_epoch=outcome.history.best_epoch + 1,
        seconds=outcome.seconds,
        machine=outcome.device,
        validation=evaluate(model, data.validation, job.pixels),
        test=evaluate(model, data.test, job.pixels),
        weights_sha256=weights_sha256(model.get_weights()),
        versions=versions(),
    )
