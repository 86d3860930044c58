"""Several runs side by side: every file of every report in one table, against the first run's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.core.record import Record
from mnist_export.report import wording
from mnist_export.report.codec import encode_json
from mnist_export.report.head_words import head_columns
from mnist_export.report.heads import CLASSES, TITLES
from mnist_export.report.html import whole_page
from mnist_export.report.markdown import render_table
from mnist_export.report.markup import NOTHING, Html, badge, bullets, el, join, section, table
from mnist_export.report.schema import ArtifactResult, Report
from mnist_export.report.text import cell, clean

_RIGHT = (False, False, False, True, True, True, True, True, True, True, False)


@dataclass(frozen=True, kw_only=True)
class RunFile(Record):
    """One file of one run.

    Attributes:
        run: the report's name.
        name: of the file.
        format: such as ``"tflite"``.
        precision: with its variant in brackets.
        size_bytes: of the file.
        top1: a fraction of 1.
        drop_pp: against its own original, percentage points.
        agreement: with its own original, a fraction of 1.
        p50_us: median of one call.
        vs_float: time over that of the float32 file in the same runtime and run.
        verdict: its own.
        top1_change_pp: top-1 minus that of the first run's file of this format, percentage points; None where
            the test data differ.
        size_ratio: size over that of the first run's file of this format.
        cells: size, the three columns of accuracy, p50 and the speed against float, as they are shown.
    """

    run: str
    name: str
    format: str
    precision: str
    size_bytes: int
    top1: float | None = None
    drop_pp: float | None = None
    agreement: float | None = None
    p50_us: float | None = None
    vs_float: float | None = None
    verdict: Verdict
    top1_change_pp: float | None = None
    size_ratio: float | None = None
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Runs(Record):
    """All runs.

    Attributes:
        runs: the reports' names, in the order that they were given.
        verdicts: of the runs.
        head: what the outputs are.
        files: every file of every run.
        notes: what makes the runs hard to compare.
    """

    runs: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    head: str
    files: tuple[RunFile, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """JSON text, as report.json is written."""
        return encode_json(self)


def compare_runs(reports: Sequence[tuple[str, Report]]) -> Runs:
    """Put the files of several reports side by side.

    Args:
        reports: a name and a report each; two or more.

    Raises:
        InputError: fewer than two, or outputs of different kinds.
    """
    if len(reports) < 2:
        raise InputError(
            f"compare: expected two reports or more, found {len(reports)}. Name the .report.json of each run."
        )
    heads = sorted({report.head or CLASSES for _, report in reports})
    if len(heads) > 1:
        raise InputError(
            f"compare: expected runs of one kind of outputs, found {' and '.join(heads)}. Compare runs of "
            "the same kind."
        )
    first = {artifact.format: artifact for artifact in reversed(reports[0][1].artifacts)}
    same_data = len({(report.data.name, report.data.images) for _, report in reports}) == 1
    files = [
        _file(name, artifact, first.get(artifact.format), report.head, same_data)
        for name, report in reports
        for artifact in report.artifacts
    ]
    return Runs(
        runs=tuple(name for name, _ in reports),
        verdicts=tuple(report.verdict for _, report in reports),
        head=heads[0],
        files=tuple(files),
        notes=tuple(_notes(reports)),
    )


def named_runs(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """A short name for each report: its file's, with as many folders before it as tell the runs apart."""
    plain = [str(path).removesuffix(".json").removesuffix(".report") for path in paths]
    parts = [Path(text).parts for text in plain]
    for depth in range(1, max((len(part) for part in parts), default=1) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return list(zip(names, paths, strict=True))
    return [
        (f"{text} ({place})", path) for place, (text, path) in enumerate(zip(plain, paths, strict=True), 1)
    ]


def _file(
    run: str, artifact: ArtifactResult, first: ArtifactResult | None, head: str, same_data: bool
) -> RunFile:
    p50 = artifact.latency_us.p50 if artifact.latency_us else None
    change = ratio = None
    if first is not None and first is not artifact:
        if same_data and artifact.top1 is not None and first.top1 is not None:
            change = 100 * (artifact.top1 - first.top1)
        ratio = artifact.size_bytes / first.size_bytes if first.size_bytes else None
    return RunFile(
        run=run,
        name=artifact.name,
        format=artifact.format,
        precision=artifact.precision + (f" ({artifact.variant})" if artifact.variant else ""),
        size_bytes=artifact.size_bytes,
        top1=artifact.top1,
        drop_pp=artifact.drop_pp,
        agreement=artifact.agreement,
        p50_us=p50,
        vs_float=artifact.vs_float,
        verdict=artifact.verdict,
        top1_change_pp=change,
        size_ratio=ratio,
        cells=(
            wording.size(artifact.size_bytes),
            *head_columns(artifact, head),
            wording.duration(p50),
            wording.speed(artifact.vs_float),
        ),
    )


def _notes(reports: Sequence[tuple[str, Report]]) -> list[str]:
    """What differs between the runs beside their files."""
    asked = (
        ("models", lambda report: report.model.name),
        ("test data", lambda report: f"{report.data.name}, {wording.count(report.data.images, 'image')}"),
        ("machines", lambda report: report.environment.cpu),
        ("threads", lambda report: str(report.environment.threads)),
    )
    found = []
    for what, of in asked:
        values = {name: of(report) for name, report in reports}
        if len(set(values.values())) > 1:
            found.append(f"{what} differ: " + "; ".join(f"{name}: {value}" for name, value in values.items()))
    return found


def _header(runs: Runs) -> tuple[str, ...]:
    first, second, third = TITLES.get(runs.head, TITLES[CLASSES])
    before = ("run", "format", "precision", "size", "against first")
    return (*before, first, second, third, "p50", "vs float", "verdict")


def _against(file: RunFile) -> str:
    """Size and top-1 against the first run's file of this format; a dash for that file itself."""
    parts = []
    if file.size_ratio is not None:
        parts.append(f"{file.size_ratio:.2f}x")
    if file.top1_change_pp is not None:
        parts.append(f"{file.top1_change_pp:+.2f} pp")
    return ", ".join(parts) or "-"


def _row(file: RunFile) -> list[str]:
    size, *accuracy, p50, speed = file.cells
    return [file.run, file.format, file.precision, size, _against(file), *accuracy, p50, speed]


def runs_table(runs: Runs) -> str:
    """The files as a table for a terminal, which is Markdown too; the verdicts and what differs around it."""
    passed = sum(verdict is Verdict.PASS for verdict in runs.verdicts)
    rows = []
    for file in runs.files:
        shown = ["-" if text == wording.NOT_MEASURED else text for text in _row(file)]
        rows.append([cell(text) for text in [*shown, "pass" if file.verdict is Verdict.PASS else "FAIL"]])
    lines = [f"{passed} of {len(runs.runs)} runs pass.", "", render_table(_header(runs), rows, _RIGHT)]
    if runs.notes:
        lines += ["", *(f"Note: {clean(note)}" for note in runs.notes)]
    return "\n".join(lines) + "\n"


def runs_page(runs: Runs) -> str:
    """The same as one HTML page of the report's look: no script, no request."""
    passed = sum(verdict is Verdict.PASS for verdict in runs.verdicts)
    good = passed == len(runs.runs)
    header = el(
        "header",
        el("p", el("span", "pass" if good else "fail", class_="verdict"), class_="eyebrow"),
        el("h1", f"{passed} of {len(runs.runs)} runs pass"),
        class_="pass" if good else "fail",
    )
    notes = el("aside", bullets(runs.notes), class_="note") if runs.notes else None
    legend = (
        "Against first: size and top-1 against the first run's file of the same format. Every other column "
        "is against the file's own original, in its own run."
    )
    grid = section("files", "The files", runs_grid(runs), el("p", legend, class_="legend"))
    return whole_page(f"{passed} of {len(runs.runs)} runs pass", join([header, notes, grid], "\n"))


def runs_grid(runs: Runs) -> Html:
    """The files as an HTML table."""
    rows = []
    for file in runs.files:
        texts = [NOTHING if text in {wording.NOT_MEASURED, "-"} else text for text in _row(file)]
        rows.append([*texts, badge(file.verdict is Verdict.PASS)])
    classes = [file.verdict.value for file in runs.files]
    return table(_header(runs), rows, numeric=tuple(range(3, 10)), kind="cards", row_classes=classes)
