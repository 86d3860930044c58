"""Judges an export in the language of its model's outputs: numbers by their errors, labels one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_export.core.errors import InputError
from mnist_export.core.statistics import wilson_interval
from mnist_export.models.judging import CLASSES, LABELS, VALUES

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.models.loading import LoadedModel
    from mnist_export.parity.label_sets import Sets
    from mnist_export.parity.results import CandidateResult, CheckResult
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.report.schema import ArtifactResult, ReferenceInfo, Report


def require_head(job: Job, loaded: LoadedModel) -> None:
    """Refuse what only classes give a meaning to, and a limit of errors for what has no values.

    Raises:
        InputError: the message names the ways out.
    """
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
    if loaded.head == CLASSES:
        return
    extra = job.extra
    asked = {
        "`qat`": extra.qat_epochs is not None,
        "`sparsity`": extra.sparsity is not None,
        "`clusters`": extra.clusters is not None,
        "`auto`": extra.auto,
        "`exact`": extra.exact,
        "`on`": job.on not in {None, "none"},
    }
    if given := [flag for flag, wanted in asked.items() if wanted]:
        kind = "numbers" if loaded.head == VALUES else "labels on or off"
        other = "" if loaded.num_classes == 1 else ', or judge it by its largest output with `head="classes"`'
        raise InputError(
            f"{given[0]}: expected a model that is judged by its classes, found that the outputs of "
            f"{loaded.name} are {kind}. Leave out {' and '.join(given)}{other}."
        )


def outputs_of(loaded: LoadedModel, dataset: Dataset) -> tuple[str, ...]:
    """One name an output: the data's where they are of the outputs."""
    if len(dataset.class_names) == loaded.num_classes:
        return dataset.class_names
    count = loaded.num_classes
    return ("value",) if count == 1 else tuple(f"value {place}" for place in range(count))


def judged_by_head(
    report: Report, result: CheckResult, dataset: Dataset, loaded: LoadedModel, job: Job, progress: Progress
) -> Report:
    """Put the verdict and the figures of a run into the terms of the model's outputs.

    Args:
        report: of the run, checked without limits.
        result: what the check found: the answers.
        dataset: what was judged on.
        loaded: the model; its head says what the outputs are.
        job: the limits.
        progress: warned where the original itself is no better than a constant.

    Raises:
        InputError: several labels, and the data's y are not 0 and 1.
    """
    from mnist_export.parity.verdict import run_verdict
    from mnist_export.pipeline.submodel import without_classes

    plain = replace(report.reference, top1=None, top1_interval=None, per_class_accuracy=None, confusion=None)
    bare = tuple(without_classes(artifact) for artifact in report.artifacts)
    pairs = list(zip(bare, result.candidates, strict=True))
    if loaded.head == LABELS:
        reference, artifacts = _by_labels(plain, pairs, result, dataset, job)
        _warn_of_labels(loaded, result, dataset, reference, progress)
    else:
        reference, artifacts = _by_values(plain, pairs, result, dataset, job)
        own = reference.target_errors
        if own is not None and own.r2 is not None and own.r2 <= 0:
            progress.warn(
                f"{loaded.name}: the model itself is no better on the test images than a constant (R2 "
                f"{own.r2:.2g}). It is untrained, damaged, or for other data or another range of pixels; "
                "agreeing with it means little."
            )
    limits = report.thresholds
    if limits is not None:
        asked = job.thresholds
        limits = (
            replace(limits, max_drop_pp=asked.max_drop_pp, min_agreement=asked.min_agreement)
            if loaded.head == LABELS
            else replace(limits, max_drop_pp=None, min_agreement=None, max_error=job.max_error)
        )
    return replace(
        report,
        head=loaded.head,
        verdict=run_verdict(artifact.verdict for artifact in artifacts),
        artifacts=artifacts,
        reference=reference,
        thresholds=limits,
        next_command=None,
        data=replace(report.data, class_names=outputs_of(loaded, dataset)),
        not_checked=(
            *report.not_checked,
            "Whether the range of pixels is the one that the model was trained with: that is only seen from "
            "answers of one class.",
        ),
    )


def _by_values(
    reference: ReferenceInfo,
    pairs: list[tuple[ArtifactResult, CandidateResult]],
    result: CheckResult,
    dataset: Dataset,
    job: Job,
) -> tuple[ReferenceInfo, tuple[ArtifactResult, ...]]:
    from mnist_export.parity.values import ValueLimit, distance
    from mnist_export.parity.verdict import judge_values

    original = result.reference.logits
    targets = dataset.test.targets
    if targets is None and original.shape[1] == 1:  # integers, which were read as classes
        targets = dataset.test.labels[:, None].astype("float64")
    limit = ValueLimit(max_error=job.max_error)
    judged = []
    for artifact, candidate in pairs:
        passed, why = limit.judge(original, candidate.logits, targets)
        name = "RMSE" if job.max_error is None else "largest error"
        if not passed and job.max_error is None:
            why += " (for a limit of your own: `max_error=X`)"
        found = judge_values(name, passed, why)
        judged.append(
            replace(
                artifact,
                verdict=found.verdict,
                why=found.why,
                checks=(*found.checks, *artifact.checks),
                value_errors=distance(original, candidate.logits),
                target_errors=None if targets is None else distance(targets, candidate.logits),
            )
        )
    own = None if targets is None else distance(targets, original)
    return replace(reference, target_errors=own), tuple(judged)


def _by_labels(
    reference: ReferenceInfo,
    pairs: list[tuple[ArtifactResult, CandidateResult]],
    result: CheckResult,
    dataset: Dataset,
    job: Job,
) -> tuple[ReferenceInfo, tuple[ArtifactResult, ...]]:
    from mnist_export.parity.label_sets import agreement, labels_on, wanted_sets

    original = labels_on(result.reference.logits)
    wanted = wanted_sets(dataset.test.labels, dataset.test.targets, original.shape[1])
    right = agreement(wanted, original)
    own = right
    judged = [
        _labelled(artifact, labels_on(candidate.logits), original, wanted, job)
        for artifact, candidate in pairs
    ]
    return replace(reference, target_labels=own), tuple(judged)


def _warn_of_labels(
    loaded: LoadedModel, result: CheckResult, dataset: Dataset, reference: ReferenceInfo, progress: Progress
) -> None:
    from mnist_export.parity.label_sets import most_frequent, wanted_sets

    count = result.reference.logits.shape[1]
    constant = most_frequent(wanted_sets(dataset.test.labels, dataset.test.targets, count))
    own = reference.target_labels
    if own is not None and own.exact_match <= constant:
        progress.warn(
            f"{loaded.name}: the model itself has every label right on {own.exact_match:.1%} of the test "
            f"images: no better than always the same labels ({constant:.1%}). It is untrained, damaged, or "
            "for other data or another range of pixels; agreeing with it means little."
        )


def _labelled(
    artifact: ArtifactResult, found: Sets, original: Sets, wanted: Sets, job: Job
) -> ArtifactResult:
    from mnist_export.parity.label_sets import agreement
    from mnist_export.parity.verdict import judge_sets

    images = len(found)
    same, right, before = agreement(original, found), agreement(wanted, found), agreement(wanted, original)
    judged = judge_sets(same, right, before, images, job.thresholds)
    return replace(
        artifact,
        verdict=judged.verdict,
        why=judged.why,
        checks=(*judged.checks, *artifact.checks),
        drop_pp=100.0 * (before.equal - right.equal) / images,
        agreement=same.exact_match,
        agreement_interval=wilson_interval(same.equal, images),
        original_labels=same,
        target_labels=right,
    )
