"""Exact int8: the same integers on every runtime, with training where it was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Format
from mnist_export.pipeline.jobs.option import Option
from mnist_export.pipeline.methods.method import Method, QuantizedNetwork

if TYPE_CHECKING:
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.pipeline.methods.method import Source

CALIBRATION_IMAGES: Final = 1000


def _make(job: Job, source: Source, progress: Progress) -> QuantizedNetwork:
    from mnist_export.data import stratified_sample
    from mnist_export.quantize.exact import quantize_exact
    from mnist_export.quantize.training.aims import aim_of, with_targets

    loaded, graph, dataset = source.loaded, source.graph, source.dataset
    if job.until is None:
        dataset = with_targets(dataset, loaded.head, loaded.num_classes)
    if not len(dataset.train):
        raise InputError(f"calibration on '{dataset.name}': expected training images, found none.")
    count = min(max(job.calibration_samples, CALIBRATION_IMAGES), len(dataset.train))
    images = dataset.train.take(stratified_sample(dataset.train, count, job.seed)).array
    validation = dataset.validation if len(dataset.validation) and job.until is None else None
    network = quantize_exact(
        graph,
        images,
        validation,
        job.scheme,
        seed=job.seed,
        one_scale=Format.C in job.formats,
        notify=progress.note,
    )
    if job.extra.qat_epochs is not None:
        from mnist_export.models.recipe import Recipe
        from mnist_export.quantize.exact.training import fine_tune_exact

        network = fine_tune_exact(
            network,
            dataset,
            epochs=job.extra.qat_epochs,
            recipe=Recipe.from_json(loaded.card.recipe) if loaded.card else None,
            seed=job.seed,
            notify=progress.note,
            aim=aim_of(loaded.head, loaded.num_classes, loaded.threshold, dataset),
        )
    return QuantizedNetwork(network=network)


METHOD = Method(
    title="exact int8",
    wanted=lambda job: job.extra.exact,
    make=_make,
    options=(
        Option(
            name="exact",
            help="int8 whose integers are the same on every runtime that computes in integers or float32 "
            "(not bfloat16), with a certificate; with quantization-aware training: trained on",
            first=True,
        ),
    ),
)
