"""Judges an export in the language of its model's outputs: numbers by their errors, labels one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_export.core.errors import InputError
from mnist_export.models.judging import VALUES
from mnist_export.models.thresholds import HALF

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.models.loading import LoadedModel
    from mnist_export.parity.heads import Head
    from mnist_export.parity.results import CheckResult
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.report.schema import Report


def require_head(job: Job, loaded: LoadedModel) -> None:
    """Refuse what only classes give a meaning to, and a limit of errors for what has no values.

    Raises:
        InputError: the message names the ways out.
    """
    if loaded.outputs and job.until is None:
        if job.max_error is not None and all(output.head != VALUES for output in loaded.outputs):
            raise InputError(
                f"`max_error`: expected an output of numbers, found none in {loaded.name}. Leave it out, or "
                f"say "
                'that they are numbers with `head="values"`.'
            )
        return
    if loaded.head != VALUES and job.max_error is not None and job.until is None:
        raise InputError(
            f"`max_error`: expected a model whose outputs are numbers, found that those of {loaded.name} are "
            f'judged as {loaded.head}. Use `max_drop` and `min_agreement`, or `head="values"`.'
        )
    if job.until is None and job.head not in {"auto", loaded.head}:
        raise InputError(
            f'`head="{job.head}"`: expected a model file, found the architecture {loaded.name}, which is a '
            "classifier. Leave `head` out."
        )


def outputs_of(loaded: LoadedModel, dataset: Dataset) -> tuple[str, ...]:
    """One name an output: the data's where they are of the outputs."""
    if loaded.outputs:
        return ()
    if len(dataset.class_names) == loaded.num_classes:
        return dataset.class_names
    count = loaded.num_classes
    return ("value",) if count == 1 else tuple(f"value {place}" for place in range(count))


def head_of(loaded: LoadedModel, job: Job) -> Head:
    """What the files of a job are judged by, beside its limits."""
    from mnist_export.parity.heads import Head

    return Head(kind=loaded.head, threshold=loaded.threshold or HALF, max_error=job.max_error)


def in_terms_of_head(
    report: Report, result: CheckResult, dataset: Dataset, loaded: LoadedModel, progress: Progress
) -> Report:
    """Name a report's outputs, and warn where the original itself is no better than a constant.

    Args:
        report: of the run, whose outputs are labels or numbers.
        result: what the check found.
        dataset: what was judged on.
        loaded: the model; its head says what the outputs are.
        progress: warned.
    """
    if result.reference.own is not None and result.reference.own.warning:
        progress.warn(result.reference.own.warning)
    return replace(
        report,
        data=replace(report.data, class_names=outputs_of(loaded, dataset)),
        not_checked=(
            *report.not_checked,
            "Whether the range of pixels is the one that the model was trained with: that is only seen from "
            "answers of one class.",
        ),
    )
