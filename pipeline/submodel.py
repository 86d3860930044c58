"""Judging a sub-model (``--until``): it has no classes, so its values are compared instead of labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnist_export.data import Split
    from mnist_export.report.schema import ArtifactResult, Report
    from mnist_export.runtime.runners.runner import Runner


def unlabelled(reference: Runner, split: Split) -> Split:
    """The same images, labelled with the position of the original's largest value."""
    from mnist_export.data import Split

    largest = reference.run(split.images).argmax(axis=1).astype("int64")
    return Split(images=split.images, labels=largest, targets=split.targets)


def judged_by_values(report: Report) -> Report:
    """Take the figures out that only classes give a meaning to, and judge by SQNR.

    Args:
        report: of a sub-model, checked on `unlabelled` images.
    """
    from mnist_export.parity.verdict import run_verdict

    artifacts = tuple(_judged(artifact) for artifact in report.artifacts)
    reference = replace(
        report.reference, top1=None, top1_interval=None, per_class_accuracy=None, confusion=None
    )
    return replace(
        report,
        verdict=run_verdict(artifact.verdict for artifact in artifacts),
        artifacts=artifacts,
        reference=reference,
        next_command=None,
        notes=(*report.notes, "a sub-model has no classes: its values are compared, not its labels"),
    )


def _judged(artifact: ArtifactResult) -> ArtifactResult:
    from mnist_export.parity.verdict import judge_signal
    from mnist_export.report.measured import without_classes

    found = judge_signal(artifact.logits)
    return replace(without_classes(artifact), verdict=found.verdict, why=found.why, checks=found.checks)
