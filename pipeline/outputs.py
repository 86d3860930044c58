"""Judges each output of a model that has several: its own answers, in its own terms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.kinds import Format, Verdict
from mnist_export.models.judging import CLASSES, LABELS
from mnist_export.models.thresholds import HALF
from mnist_export.parity.verdict import outcome

if TYPE_CHECKING:
    from mnist_export.data import Dataset, Split
    from mnist_export.models.loading import LoadedModel
    from mnist_export.models.outputs import ModelOutput
    from mnist_export.parity.comparison import Thresholds
    from mnist_export.parity.heads import Head
    from mnist_export.parity.results import CandidateResult, CheckResult
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.report.schema import OutputResult, Report


def require_single(job: Job, loaded: LoadedModel) -> None:
    """Refuse what is only done with one output.

    Raises:
        UnsupportedError: the message names the ways out.
    """
    if not loaded.outputs:
        return
    extra = job.extra
    asked = {
        "`exact`": extra.exact,
        "`qat`": extra.qat_epochs is not None,
        "`sparsity`": extra.sparsity is not None,
        "`clusters`": extra.clusters is not None,
        "`auto`": extra.auto,
        "`debug_layers`": extra.debug_layers,
        "`on`": job.on not in {None, "none"},
        '`format="c"`': Format.C in job.formats,
    }
    if given := [name for name, wanted in asked.items() if wanted]:
        names = ", ".join(output.name for output in loaded.outputs)
        raise UnsupportedError(
            f"{given[0]}: expected a model of one output, found {len(loaded.outputs)} in {loaded.name}. "
            f"Choose one "
            f"with `output_name` ({names}), or leave out {' and '.join(given)}."
        )


def with_outputs(
    report: Report, result: CheckResult, dataset: Dataset, loaded: LoadedModel, job: Job
) -> Report:
    """Judge each output, and the files by all of them.

    The data's y are taken for the one output that they fit; the others are judged against the original alone.

    Args:
        report: of the run, checked without limits.
        result: what the check found: the answers of all outputs beside each other.
        dataset: what was judged on.
        loaded: the model.
        job: the limits.
    """
    fitting = [output for output in loaded.outputs if _fits(output, dataset)]
    labelled = fitting[0] if len(fitting) == 1 else None
    outputs = tuple(
        _judged(output, report, result, dataset, job, known=output is labelled) for output in loaded.outputs
    )
    artifacts = []
    for place, artifact in enumerate(report.artifacts):
        own = [(output.name, output.artifacts[place]) for output in outputs]
        failed = [f"{name}: {found.why}" for name, found in own if found.verdict is Verdict.FAIL]
        checks = tuple(
            replace(check, name=f"{name}: {check.name}")
            for name, found in own
            for check in found.checks
            if check.name != "finite outputs"
        )
        artifacts.append(
            replace(
                artifact,
                verdict=outcome(not failed),
                why=" ".join(failed) or f"All {len(own)} outputs are within their limits.",
                checks=(*checks, *artifact.checks),
            )
        )
    passed = all(artifact.verdict is Verdict.PASS for artifact in artifacts)
    told = (
        f"the data's y are those of output '{labelled.name}'; the others are judged against the original "
        f"alone"
        if labelled is not None
        else f"the data's y fit {len(fitting) or 'none'} of the outputs: all are judged against the "
        f"original alone"
    )
    return replace(
        report,
        head=loaded.head,
        verdict=outcome(passed),
        artifacts=tuple(artifacts),
        outputs=outputs,
        thresholds=None,
        next_command=None,
        notes=(*report.notes, told),
    )


def _fits(output: ModelOutput, dataset: Dataset) -> bool:
    """Whether the data's y may be this output's."""
    from mnist_export.data.targets import are_label_sets

    targets = dataset.test.targets
    if targets is None:
        return output.head == CLASSES and output.width == dataset.num_classes
    if targets.shape[1] != output.width or output.head == CLASSES:
        return False
    return output.head != LABELS or are_label_sets(targets)


def _judged(
    output: ModelOutput, report: Report, result: CheckResult, dataset: Dataset, job: Job, *, known: bool
) -> OutputResult:
    from mnist_export.parity.heads import Head, limits_of, own_figures
    from mnist_export.report.measured import artifact_of, reference_of
    from mnist_export.report.schema import OutputResult

    columns = output.columns
    reference = np.ascontiguousarray(result.reference.logits[:, columns])
    limit = job.max_error if output.head == "values" else None
    head = Head(kind=output.head, threshold=output.threshold or HALF, max_error=limit)
    split = dataset.test if known else _unknown(head, dataset.test, reference)
    # where the original's own answers stand for y, a drop says what agreement says already
    limits = job.thresholds if known else replace(job.thresholds, max_drop_pp=100.0)
    candidates = tuple(
        _of_output(head, candidate, reference, columns, split, limits) for candidate in result.candidates
    )
    own = own_figures(head, output.name, reference, split) if known and output.head != CLASSES else None
    part = replace(
        result,
        reference=replace(
            result.reference,
            logits=reference,
            top1=float((reference.argmax(axis=1) == split.labels).mean()),
            own=own,
        ),
        candidates=candidates,
        head=head,
    )
    found_reference = reference_of(part)
    artifacts = tuple(
        replace(artifact_of(candidate, limits), path=before.path, sha256=before.sha256)
        for candidate, before in zip(candidates, report.artifacts, strict=True)
    )
    if not known:
        bare: dict[str, Any] = {
            "top1": None,
            "top1_interval": None,
            "per_class_accuracy": None,
            "confusion": None,
        }
        found_reference = replace(found_reference, **bare, target_errors=None, target_labels=None)
        artifacts = tuple(
            replace(
                artifact, **bare, drop_pp=None, mcnemar_p=None, target_errors=None, target_labels=None,
                checks=tuple(c for c in artifact.checks if c.name not in {"top-1 drop", "exact match"}),
            )
            for artifact in artifacts
        )  # fmt: skip
    names = dataset.class_names if known and len(dataset.class_names) == output.width else ()
    passed = all(artifact.verdict is Verdict.PASS for artifact in artifacts)
    told = limits_of(limits, head)
    if not known:
        told = replace(told, max_drop_pp=None)
    return OutputResult(
        name=output.name,
        head=output.head,
        verdict=outcome(passed),
        reference=found_reference,
        artifacts=artifacts,
        thresholds=told,
        names=names or tuple(f"{output.name} {place}" for place in range(output.width)),
    )


def _unknown(head: Head, split: Split, reference: Any) -> Split:
    """The images with the original's own answers for y."""
    from mnist_export.parity.label_sets import labels_on

    largest = reference.argmax(axis=1).astype(np.int64)
    if head.kind == CLASSES:
        return replace(split, labels=largest, targets=None)
    if head.kind == LABELS:
        from mnist_export.models.thresholds import logit

        on = labels_on(reference, logit(head.threshold)).astype(np.float64)
        return replace(split, labels=np.zeros_like(largest), targets=on)
    return replace(split, labels=np.zeros_like(largest), targets=reference.astype(np.float64))


def _of_output(
    head: Head, candidate: CandidateResult, reference: Any, columns: slice, split: Split, limits: Thresholds
) -> CandidateResult:
    """A candidate's answers of one output, judged."""
    from mnist_export.parity.checking import compared

    own = np.ascontiguousarray(candidate.logits[:, columns])
    parity, judgement = compared(head, reference, own, split, thresholds=limits)
    return replace(candidate, logits=own, parity=parity, judgement=judgement, diagnosis="")
