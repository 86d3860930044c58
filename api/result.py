"""What the Python interface returns: a report, with its artifacts by format."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnist_export.report.runs import Runs
    from mnist_export.report.schema import ArtifactResult, Report


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One exported file and what was found about it; None is "not measured".

    Attributes:
        path: where it is.
        format: ``"tflite"``, ``"onnx"`` or ``"c"``.
        precision: such as ``"int8"``.
        size_bytes: of the file.
        top1: accuracy, a fraction of 1.
        drop_pp: the original's top-1 minus this, percentage points.
        agreement: share of images with the original's label, a fraction of 1.
        latency_us: median of one image, microseconds on this machine.
        passed: whether its own verdict holds.
        why: the verdict in words.
    """

    path: Path
    format: str
    precision: str
    size_bytes: int | None
    top1: float | None
    drop_pp: float | None
    agreement: float | None
    latency_us: float | None
    passed: bool
    why: str

    @classmethod
    def of(cls, found: ArtifactResult) -> Artifact:
        """Read it out of a report."""
        return cls(
            path=Path(found.path),
            format=str(found.format),
            precision=str(found.precision),
            size_bytes=found.size_bytes,
            top1=found.top1,
            drop_pp=found.drop_pp,
            agreement=found.agreement,
            latency_us=found.latency_us.p50 if found.latency_us else None,
            passed=found.verdict.value == "pass",
            why=found.why or "",
        )


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Several runs side by side: a table in a terminal, HTML in a notebook.

    Attributes:
        runs: every file of every run, against the first run's; `to_json` gives it as JSON.
    """

    runs: Runs

    def to_json(self) -> str:
        """What ``mnist-parity compare --json`` prints."""
        return self.runs.to_json()

    def to_html(self) -> str:
        """The whole page that ``mnist-parity compare -o`` writes."""
        from mnist_export.report.runs import runs_page

        return runs_page(self.runs)

    def __repr__(self) -> str:
        """The table, as the command prints it."""
        from mnist_export.report.runs import runs_table

        return runs_table(self.runs).rstrip()

    def _repr_html_(self) -> str:
        """The table as HTML, for notebooks."""
        from mnist_export.report.runs import runs_grid

        return runs_grid(self.runs)


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """The outcome of `mnist_export.export` or `mnist_export.check`.

    Shown as a table in a terminal and as HTML in a notebook.

    Attributes:
        report: everything that was measured; `to_json` gives report.json's content.
    """

    report: Report

    @property
    def passed(self) -> bool:
        """Whether every verdict holds."""
        return self.report.verdict.value == "pass"

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        from mnist_export.report.wording import headline

        return headline(self.report)

    @property
    def files(self) -> tuple[Artifact, ...]:
        """Every file, in the order in which it was written or given."""
        return tuple(Artifact.of(found) for found in self.report.artifacts)

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """The files by format; where a format occurs more than once, by file name."""
        files = self.files
        formats = [file.format for file in files]
        return {file.format if formats.count(file.format) == 1 else file.path.name: file for file in files}

    def to_json(self) -> str:
        """The content of report.json."""
        return self.report.to_json()

    def __repr__(self) -> str:
        """The verdict and a table, as the commands print them."""
        from mnist_export.report.markdown import console_summary

        return console_summary(self.report).rstrip()

    def _repr_html_(self) -> str:
        """The same as HTML, for notebooks."""
        from html import escape

        rows = _rows(self.files)
        body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
        head = "".join(f"<th>{escape(name)}</th>" for name in _COLUMNS)
        word = "PASS" if self.passed else "FAIL"
        return (
            f"<div><p><b>{word}</b>: {escape(self.verdict)}</p>"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        )


_COLUMNS = ("file", "precision", "bytes", "top-1", "drop", "agreement", "latency", "verdict")


def _rows(files: tuple[Artifact, ...]) -> list[tuple[str, ...]]:
    return [
        (
            file.path.name,
            file.precision,
            "-" if file.size_bytes is None else f"{file.size_bytes:,}",
            "-" if file.top1 is None else f"{file.top1:.2%}",
            "-" if file.drop_pp is None else f"{file.drop_pp:+.2f} pp",
            "-" if file.agreement is None else f"{file.agreement:.2%}",
            "-" if file.latency_us is None else f"{file.latency_us:.1f} us",
            "pass" if file.passed else "FAIL",
        )
        for file in files
    ]
