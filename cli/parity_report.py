"""The report of ``mnist-parity check``: written and printed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.cli.console import Console, emit

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.parity.results import CheckResult
    from mnist_export.report.schema import Report


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
