"""One trial: build, train, export and measure one network, wherever a worker is, without the test images."""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.models.families import FamilyNetwork

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.recipe import Recipe
    from mnist_export.report.schema import Report

MAX_FILES_BYTES: Final = 256 << 20
MODEL: Final = "model.keras"


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """What to try, as plain data that goes to another process or machine.

    Attributes:
        index: of the trial within the search; with the seed it fixes everything random.
        values: setting to value, such as ``{"network.width": 8}``.
        data: what ``--data`` takes.
        seed: of the search.
        code: source of a file with ``build(trial)``; empty for the space's own networks.
        code_name: that file's name, for messages.
        choices: what Optuna's trial chose in ``build``.
        floor: validation accuracy of each epoch below which the training is given up; may be empty.
        ceilings: figure to its largest allowed value, of figures that are known before training.
        target: what files are written for where the scheme names no target.
    """

    index: int
    values: Mapping[str, Any]
    data: str
    seed: int
    code: str = ""
    code_name: str = ""
    choices: Mapping[str, Any] = field(default_factory=dict)
    floor: tuple[float, ...] = ()
    ceilings: Mapping[str, float] = field(default_factory=dict)
    target: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrialResult:
    """What came of a trial.

    Attributes:
        figures: by name, see `search.figures`; those that were not measured are missing.
        curve: validation accuracy of each epoch that was run.
        ended: ``"done"``, ``"over budget"`` (known before training; not trained), ``"behind"`` (given up) or
            ``"failed"``.
        why: in a sentence, where it is not done.
        files: name to content of what was written.
        seconds: of the whole trial.
    """

    figures: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[float, ...] = ()
    ended: str = "done"
    why: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    seconds: float = 0.0


def run_trial(spec: TrialSpec) -> TrialResult:
    """Do one trial; a network that cannot be built, trained or exported is a result, not an error."""
    started = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="mnist-search-") as text:
            found = _run(spec, Path(text))
    except MnistExportError as error:
        found = TrialResult(ended="failed", why=str(error))
    except Exception as error:  # noqa: BLE001 - one network of many: what Keras says of it is the result
        found = TrialResult(ended="failed", why=f"{type(error).__name__}: {error}"[:2000])
    seconds = time.perf_counter() - started
    return replace(found, seconds=seconds, figures={**found.figures, "seconds": seconds})


def _run(spec: TrialSpec, folder: Path) -> TrialResult:
    dataset = dataset_of(spec.data, spec.seed)
    model = build_network(spec, dataset)
    path = folder / MODEL
    if spec.ceilings:
        early = _figures_before_training(spec, model, dataset, folder)
        for name, most in spec.ceilings.items():
            if early.get(name, 0.0) > most:
                return TrialResult(
                    figures=early, ended="over budget", why=f"{name} is {early[name]:.0f}, over {most:.0f}"
                )
    curve, trained = _trained(spec, dataset, model)
    if spec.floor and len(curve) <= len(spec.floor) and curve and curve[-1] < spec.floor[len(curve) - 1]:
        behind = f"validation accuracy {curve[-1]:.4f} after epoch {len(curve)}: the last quarter"
        return TrialResult(ended="behind", why=behind, curve=curve)
    trained.save(path)
    report, figures = _exported(spec, path, dataset, folder / "exports")
    figures["parameters"] = float(trained.count_params())
    files = {MODEL: path.read_bytes()}
    written = sorted(file for file in (folder / "exports").iterdir() if file.is_file())
    files |= {file.name: file.read_bytes() for file in written}
    if sum(map(len, files.values())) > MAX_FILES_BYTES:
        files = {}
    passed = report.verdict.value == "pass"
    return TrialResult(figures=figures, curve=curve, files=files, why="" if passed else "its verdict fails")


@functools.lru_cache(maxsize=2)
def dataset_of(data: str, seed: int) -> Dataset:
    """The data with the validation part in the test part's place: nothing is chosen by test images."""
    from mnist_export.data import load_dataset

    dataset = load_dataset(data, seed=seed, notify=_silent)
    return replace(dataset, test=dataset.validation)


def build_network(spec: TrialSpec, dataset: Dataset) -> Any:
    """The Keras model of a trial, with its own random weights.

    Raises:
        InputError: its settings make no network.
    """
    from mnist_export.train.devices import seed_everything

    seed_everything((spec.seed + 7919 * spec.index) % 2**32)
    if spec.code:
        return _users_network(spec)
    shape, classes = tuple(dataset.image_shape), dataset.num_classes
    settings = _group(spec.values, "network")
    name = settings.pop("architecture", None)
    if name is None:
        return FamilyNetwork.of(settings).build(shape, classes)
    from mnist_export.models.registry import ARCHITECTURES

    return ARCHITECTURES.get(str(name)).build_for(shape, classes)


def _users_network(spec: TrialSpec) -> Any:
    import optuna

    from mnist_export.search.users_build import build_of

    return build_of(spec.code, spec.code_name)(optuna.trial.FixedTrial(dict(spec.choices)))


def recipe_of(settings: Mapping[str, Any]) -> Recipe:
    """The recipe of a trial's training settings: Adam with half a cosine, and what they change.

    Raises:
        InputError: a value out of range.
    """
    from mnist_export.models.augmentation import Augmentation
    from mnist_export.models.recipe import Loss, Optimizer, Recipe, Schedule

    plain = ("epochs", "batch_size", "learning_rate", "label_smoothing")
    smoothing = float(settings.get("label_smoothing", 0.0))
    return Recipe(
        name="search",
        source="a search's own",
        optimizer=Optimizer.ADAM,
        learning_rate=float(settings.get("learning_rate", 0.003)),
        min_learning_rate=1e-5,
        batch_size=int(settings.get("batch_size", 128)),
        epochs=int(settings.get("epochs", 8)),
        schedule=Schedule.COSINE,
        loss=Loss.CATEGORICAL if smoothing else Loss.SPARSE,
        label_smoothing=smoothing,
        augmentation=Augmentation(**{k: float(v) for k, v in settings.items() if k not in plain}),
    )


def _trained(spec: TrialSpec, dataset: Dataset, model: Any) -> tuple[tuple[float, ...], Any]:
    from mnist_export.train.job import Job
    from mnist_export.train.registry import TRAINERS

    curve: list[float] = []

    def should_stop(epoch: int, accuracy: float) -> bool:
        curve.append(accuracy)
        return epoch < len(spec.floor) and accuracy < spec.floor[epoch]

    outcome = TRAINERS.get("fit")(
        Job(
            name=f"trial-{spec.index}",
            build=lambda: model,
            dataset=dataset,
            recipe=recipe_of(_group(spec.values, "training")),
            seed=(spec.seed + spec.index) % 2**32,
            notify=_silent,
            should_stop=should_stop,
        )
    )
    return tuple(curve), outcome.model


def _figures_before_training(spec: TrialSpec, model: Any, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Sizes do not depend on the values of weights: they are those of the untrained network's file."""
    path = folder / "untrained.keras"
    model.save(path)
    few = replace(dataset, test=dataset.test.take(_first(8, len(dataset.test))))
    _, figures = _exported(spec, path, few, folder / "untrained", quick=True)
    figures["parameters"] = float(model.count_params())
    return {name: figures[name] for name in BEFORE_TRAINING}


BEFORE_TRAINING: Final = ("flash", "weights", "ram", "arena", "values", "macs", "parameters")
"""Figures that are known before training."""


def _exported(
    spec: TrialSpec, path: Path, dataset: Dataset, output: Path, *, quick: bool = False
) -> tuple[Report, dict[str, float]]:
    from mnist_export.pipeline.export import run_job
    from mnist_export.pipeline.jobs.progress import SILENT
    from mnist_export.pipeline.request import job_with
    from mnist_export.search.inside import sizes_inside

    scheme = _group(spec.values, "scheme")
    if quick:
        scheme = {
            k: v for k, v in scheme.items() if k not in {"qat", "sparsity", "clusters", "auto", "adaround"}
        }
        scheme["calibration_samples"] = 8
    if not str(scheme.get("format", "tflite")).startswith("tflite"):
        raise InputError("scheme.format: expected tflite first, since figures are measured on the .tflite.")
    given = {"input_range": "0,1", "target": spec.target, "on": "none", **scheme}
    report = run_job(job_with(**given, model=str(path), data=dataset, output=output), SILENT)
    return report, {**_measured(report), **sizes_inside([Path(item.path) for item in report.artifacts])}


def _measured(report: Report) -> dict[str, float]:
    first = report.artifacts[0]
    found = {
        "accuracy": first.top1,
        "float_accuracy": report.reference.top1,
        "agreement": first.agreement,
        "flash": first.size_bytes,
        "macs": report.model.macs,
        "latency": first.latency_us.p50 if first.latency_us else None,
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def _group(values: Mapping[str, Any], group: str) -> dict[str, Any]:
    return {name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{group}.")}


def _first(count: int, of: int) -> Any:
    import numpy as np

    return np.arange(min(count, of))


def _silent(_: str) -> None:
    """Say nothing: a worker's messages are the driver's."""
