"""The report of ``mnist-parity check``: built, written and printed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.cli.common import Console, emit

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.report.parts import LayerError
    from mnist_export.report.schema import Report
    from mnist_export.runtime.parity.results import CheckResult
    from mnist_export.runtime.runners.runner import Runner


def build_report(
    result: CheckResult,
    dataset: Dataset,
    reference: Runner,
    *,
    layers: Sequence[tuple[LayerError, ...]],
    threads: int,
) -> Report:
    """Put what was found into the report's form.

    Args:
        result: reference and candidates.
        dataset: what they were compared on.
        reference: the reference's runner, which may be closed.
        layers: errors by layer of each candidate, empty where not measured.
        threads: of one inference.
    """
    from mnist_export.report.context import DataInfo, ModelInfo
    from mnist_export.report.measured import (
        artifact_of,
        environment_of,
        pairs_of,
        reference_of,
        thresholds_of,
    )
    from mnist_export.report.schema import Report
    from mnist_export.runtime.environment import describe
    from mnist_export.runtime.parity.golden import GoldenRunner

    file = result.reference.file
    meta = reference.golden.meta if isinstance(reference, GoldenRunner) else None
    environment = environment_of(describe(threads=threads), timing=result.timing)
    return Report(
        verdict=result.verdict,
        model=ModelInfo(
            name=result.reference.label,
            source=reference.origin,
            parameters=(meta.parameters if meta else getattr(reference, "parameters", 0)) or None,
            macs=(meta.macs if meta else getattr(reference, "macs", 0)) or None,
            path=file.path if file else None,
            sha256=(meta.model_sha256 if meta else file.sha256 if file else "") or None,
            framework=result.reference.runtime,
            input_shape=dataset.image_shape,
            input_range=(reference.input_range.lo, reference.input_range.hi),
            notes=result.reference.notes,
        ),
        data=DataInfo(
            name=dataset.name,
            images=result.images,
            source=dataset.provenance.source,
            sha256=dataset.test.images_sha256(),
            class_names=dataset.class_names,
            notes=dataset.provenance.notes,
        ),
        reference=reference_of(result),
        artifacts=tuple(
            artifact_of(candidate, result.thresholds, layers=found)
            for candidate, found in zip(result.candidates, layers, strict=True)
        ),
        environment=environment,
        timings_s=dict(result.seconds),
        notes=result.notes,
        thresholds=thresholds_of(result.thresholds),
        pairs=pairs_of(result),
        tool_version=environment.versions.get("mnist-export"),
    )


def as_json(report: Report) -> dict[str, Any]:
    """The report as ``json`` takes it."""
    value: dict[str, Any] = json.loads(report.to_json())
    return value


def write_report(
    report: Report,
    result: CheckResult,
    dataset: Dataset,
    arguments: argparse.Namespace,
    console: Console,
) -> None:
    """Write the files that ``-o``, ``--junit`` and ``--summary`` ask for."""
    if arguments.output is not None:
        from mnist_export.report.write import write_reports

        flips = {flip.index for candidate in result.candidates for flip in candidate.parity.flips[:50]}
        paths = write_reports(
            report,
            arguments.output,
            Path(arguments.candidates[0]).stem,
            images={index: dataset.test.images[index] for index in sorted(flips)},
            junit=arguments.junit,
        )
        console.note(f"report: {paths.html}")
    elif arguments.junit is not None:
        from mnist_export.core.files import write_atomic_one
        from mnist_export.report.junit import render_junit

        write_atomic_one(arguments.junit, render_junit(report))
    if arguments.summary is not None:
        from mnist_export.report.markdown import append_step_summary, markdown_summary

        append_step_summary(markdown_summary(report), arguments.summary)


def print_report(report: Report, console: Console) -> None:
    """Write the table to stdout, and notes to stderr."""
    from mnist_export.report.markdown import console_summary

    emit(console_summary(report).rstrip())
    for artifact in report.artifacts:
        console.detail(f"{artifact.name}: {artifact.why}")
        for note in artifact.notes:
            console.note(f"note: {artifact.name}: {note}")
