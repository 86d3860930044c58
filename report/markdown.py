"""The final table, aligned for a terminal and valid as Markdown, and the step summary of CI."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mnist_export.core.errors import OutputError
from mnist_export.core.kinds import Verdict
from mnist_export.report import on_devices
from mnist_export.report.head_words import head_columns, reference_column
from mnist_export.report.heads import CLASSES, TITLES
from mnist_export.report.outputs import output_title, output_views
from mnist_export.report.schema import ArtifactResult, Report
from mnist_export.report.text import cell, clean, pad, width
from mnist_export.report.usage import usage_markdown, usage_text
from mnist_export.report.wording import NOT_MEASURED, duration, headline, size, speed

COLUMNS = (
    "format", "precision", "size", "top-1", "drop", "agreement", "p50", "vs float", "verdict",
)  # fmt: skip
_RIGHT = (False, False, True, True, True, True, True, True, False)
STEP_SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"


def render_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> str:
    """A Markdown table whose columns line up in a plain terminal.

    Args:
        header: column titles.
        rows: cells, already escaped; each row as long as the header.
        right: for each column, whether it is aligned to the right.
    """
    columns = list(zip(header, *rows, strict=True))
    widths = [max(3, *(width(text) for text in column)) for column in columns]
    lines = [
        [pad(text, w, right=r) for text, w, r in zip(row, widths, right, strict=True)]
        for row in [header, *rows]
    ]
    rule = ["-" * (w - 1) + (":" if r else "-") for w, r in zip(widths, right, strict=True)]
    return "\n".join("| " + " | ".join(line) + " |" for line in [lines[0], rule, *lines[1:]])


def results_table(report: Report) -> str:
    """The table of a run: the original first, then a row for each artifact. ASCII but for names."""
    reference = report.reference
    p50 = reference.latency_us.p50 if reference.latency_us else None
    original = [
        cell(f"{reference.runtime} (original)"), "", "", "", "", "",
        duration(p50), "", "",
    ]  # fmt: skip
    original[3] = reference_column(report)
    rows = [original, *(_row(artifact, report.head) for artifact in report.artifacts)]
    header = (*COLUMNS[:3], *TITLES.get(report.head, TITLES[CLASSES]), *COLUMNS[6:])
    return render_table(header, [[_short(text) for text in row] for row in rows], _RIGHT)


def _tables(report: Report) -> list[str]:
    """The table of the run; of a model of several outputs, one for each below its name."""
    if not report.outputs:
        return [results_table(report)]
    lines: list[str] = []
    for name, view in output_views(report):
        lines += ["", output_title(name, view), "", results_table(view)]
    return lines[1:]


def _row(artifact: ArtifactResult, head: str) -> list[str]:
    variant = f" ({artifact.variant})" if artifact.variant else ""
    p50 = artifact.latency_us.p50 if artifact.latency_us else None
    return [
        cell(artifact.format),
        cell(artifact.precision + variant),
        size(artifact.size_bytes),
        *head_columns(artifact, head),
        duration(p50),
        speed(artifact.vs_float),
        "pass" if artifact.verdict is Verdict.PASS else "FAIL",
    ]


def _short(text: str) -> str:
    return "-" if text == NOT_MEASURED else text


def console_summary(report: Report) -> str:
    """What a command prints at its end: verdict, table, reasons, notes, next command. Plain text."""
    lines = [_verdict_line(report), "", *_tables(report), *_context(report)]
    reasons = [f"  {clean(a.name)}: {clean(a.why)}" for a in _failed(report) if a.why]
    if reasons:
        lines += ["", "Why:", *reasons]
    if report.devices:
        lines += ["", "On devices:", "", _device_table(report)]
        lines += ["", *(f"  {clean(why)}" for why in on_devices.device_reasons(report))]
    if report.notes:
        lines += ["", *(f"Note: {clean(note)}" for note in report.notes)]
    lines += [clean(line) for line in usage_text(report.usage)]
    if report.next_command:
        lines += ["", "Next:", f"  {clean(report.next_command)}"]
    return "\n".join(lines) + "\n"


def markdown_summary(report: Report) -> str:
    """The same for a Markdown reader, such as a step summary or a comment on a pull request."""
    name = cell(report.model.name)
    data = f"{cell(report.data.name)}, {report.data.images:,} images"
    lines = [f"### {name} on {data}: {report.verdict.value}", "", cell(headline(report)), ""]
    lines += [*_tables(report), *_context(report)]
    reasons = [f"- **{cell(a.name)}**: {cell(a.why)}" for a in _failed(report) if a.why]
    if reasons:
        lines += ["", *reasons]
    if report.devices:
        lines += ["", _device_table(report)]
        lines += ["", *(f"- {cell(why)}" for why in on_devices.device_reasons(report))]
    if report.notes:
        lines += ["", *(f"> {cell(note)}" for note in report.notes)]
    lines += usage_markdown(report.usage)
    if report.next_command:
        lines += ["", *_fence(clean(report.next_command))]
    return "\n".join(lines) + "\n"


def _context(report: Report) -> list[str]:
    """One line on the original's own time; empty where it was not measured."""
    p50 = report.reference.latency_us.p50 if report.reference.latency_us else None
    against = [
        f"{clean(artifact.name)} {speed(artifact.vs_original)}"
        for artifact in report.artifacts
        if artifact.vs_original is not None
    ]
    if p50 is None or not against:
        return []
    return ["", f"One call of the original takes {duration(p50)}: {', '.join(against)}."]


def _device_table(report: Report) -> str:
    rows = [[cell(text) for text in row] for row in on_devices.device_rows(report)]
    return render_table(on_devices.HEADER, rows, on_devices.RIGHT)


def _verdict_line(report: Report) -> str:
    return f"{'PASS' if report.verdict is Verdict.PASS else 'FAIL'}: {clean(headline(report))}"


def _failed(report: Report) -> list[ArtifactResult]:
    return [a for a in report.artifacts if a.verdict is Verdict.FAIL]


def _fence(command: str) -> list[str]:
    ticks = "```"
    while ticks in command:
        ticks += "`"
    return [f"{ticks}sh", command, ticks]


def append_step_summary(text: str, path: Path | None = None) -> Path | None:
    """Append Markdown to the step summary of a CI job.

    Args:
        text: Markdown.
        path: the file; without one, what the environment variable GITHUB_STEP_SUMMARY names.

    Returns:
        The file that was written to, or None when there is none to write to.

    Raises:
        OutputError: the file cannot be written.
    """
    named = os.environ.get(STEP_SUMMARY_VARIABLE)
    target = path or (Path(named) if named else None)
    if target is None:
        return None
    try:
        with target.open("a", encoding="utf-8", errors="replace") as stream:
            stream.write(text if text.endswith("\n") else text + "\n")
    except OSError as error:
        raise OutputError(f"cannot write the step summary {target}: {error.strerror or error}.") from error
    return target
