"""A search for the smallest change of the scheme that keeps the accuracy that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnist_export.core.errors import InputError
from mnist_export.pipeline.jobs.option import Option
from mnist_export.pipeline.methods.method import Method, QuantizedNetwork, rewritten, with_rewrites
from mnist_export.report.context import Finding

if TYPE_CHECKING:
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.pipeline.methods.method import Source


def _make(job: Job, source: Source, progress: Progress) -> QuantizedNetwork:
    if source.calibration is None:
        raise InputError(
            f"`auto`: expected precision int8 or int16x8, found {job.scheme.precision}. Use `int8=True`."
        )
    from mnist_export.models.thresholds import HALF
    from mnist_export.parity.heads import Head
    from mnist_export.parity.searching import search_judge
    from mnist_export.quantize.auto import search

    loaded = source.loaded
    head = Head(kind=loaded.head, threshold=loaded.threshold or HALF, max_error=job.max_error)
    judge, limit = search_judge(head, job.thresholds)

    graph, applied = rewritten(job, source.graph)
    limits = job.thresholds
    found = search(
        graph,
        job.scheme,
        source.calibration.array,
        source.dataset.validation,
        max_drop_pp=100.0 if limits.max_drop_pp is None else limits.max_drop_pp,
        min_agreement=limits.min_agreement or 0.0,
        judge=judge,
        limit=limit,
        notify=progress.note,
    )
    if not found.met:
        progress.warn(f"{found.model.notes[-1]}; the nearest was kept")
    trials = tuple(
        Finding(text=f"tried {trial.sentence()}{'; chosen' if trial is found.chosen else ''}", where="`auto`")
        for trial in found.trials
    )
    return QuantizedNetwork(network=with_rewrites(found.model, applied), findings=trials)


METHOD = Method(
    title="searched scheme",
    wanted=lambda job: job.extra.auto,
    make=_make,
    options=(
        Option(
            name="auto",
            help="search better ranges, then the fewest layers in float, that keep the largest allowed drop",
        ),
    ),
)
