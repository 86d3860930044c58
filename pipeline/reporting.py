"""The report of an export run: what each room found, brought together."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.core.kinds import Precision, Verdict
from mnist_export.core.pixel_rules import sentence_of
from mnist_export.core.pixels import InputRange
from mnist_export.models.thresholds import threshold_text
from mnist_export.parity.heads import limits_of
from mnist_export.report.context import DataInfo, Finding, ModelInfo
from mnist_export.report.measured import artifact_of, reference_of
from mnist_export.report.parts import Audit
from mnist_export.report.schema import ArtifactResult, Report
from mnist_export.runtime.environment import describe

if TYPE_CHECKING:
    from mnist_export.core.side_files import SideFiles
    from mnist_export.data import Dataset
    from mnist_export.export.artifacts import WrittenArtifact, WrittenRun
    from mnist_export.models.loading import LoadedModel
    from mnist_export.parity.results import CheckResult
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.quantize import QuantizedModel

_FLIP_PICTURES = 24


def build_report(
    job: Job,
    loaded: LoadedModel,
    dataset: Dataset,
    network: QuantizedModel,
    written: WrittenRun,
    result: CheckResult,
    seconds: dict[str, float],
) -> Report:
    """Bring a run's results together.

    Args:
        job: what was asked for.
        loaded: the original.
        dataset: what it was judged on.
        network: what was exported.
        written: the files.
        result: what the check found; its candidates are in the files' order.
        seconds: stage to seconds.
    """
    environment = describe(threads=job.threads, timing=result.timing)
    artifacts = tuple(
        _with_audit(artifact_of(candidate, result.thresholds), item)
        for candidate, item in zip(result.candidates, written.artifacts, strict=True)
    )
    original = job.model if loaded.source.kind == "file" else loaded.name
    report = Report(
        verdict=result.verdict,
        model=ModelInfo(
            name=loaded.name,
            source=str(loaded.source.kind),
            parameters=loaded.parameters,
            macs=loaded.macs,
            path=str(loaded.source.path) if loaded.source.path else None,
            sha256=loaded.source.sha256 or None,
            framework=loaded.framework,
            input_shape=tuple(loaded.input_shape),
            input_range=job.input_range.span,
            preprocessing=sentence_of(job.input_range),
            notes=tuple(loaded.notes),
        ),
        data=DataInfo(
            name=dataset.name,
            images=result.images,
            calibration_images=network.calibration_images,
            source=dataset.provenance.source,
            sha256=dataset.test.images_sha256(),
            class_names=dataset.class_names,
            notes=dataset.provenance.notes,
        ),
        reference=reference_of(result),
        artifacts=artifacts,
        environment=environment,
        timings_s={name: round(value, 3) for name, value in seconds.items()},
        thresholds=limits_of(result.thresholds, result.head),
        head=result.head.kind,
        pairs=result.pairs,
        findings=tuple(
            Finding(text=f"{share:.2%} of calibration values lie outside the range", level="info", where=name)
            for name, share in network.saturation.items()
            if share > 0
        ),
        history=_history(loaded),
        notes=(*loaded.notes, *network.notes, *_forms(written)),
        command=job.command,
        tool_version=environment.versions.get("mnist-export"),
    )
    return replace(report, next_command=_next_command(original, job, report))


def _history(loaded: LoadedModel) -> dict[str, tuple[float | None, ...]]:
    return {} if loaded.card is None else {**loaded.card.history.curves()}


def _forms(written: WrittenRun) -> tuple[str, ...]:
    return tuple(f"{item.path.name}: {note}" for item in written.artifacts for note in item.notes)


def _with_audit(artifact: ArtifactResult, item: WrittenArtifact) -> ArtifactResult:
    if item.audit is None:
        return artifact
    found = item.audit
    return replace(
        artifact,
        audit=Audit(
            operators=found.operators,
            weight_bytes=found.weight_bytes,
            float_operators=found.float_layers,
        ),
    )


def _next_command(original: str, job: Job, report: Report) -> str:
    """Check the files on the device; where int8 lost too much, search for what keeps the accuracy."""
    if report.verdict is Verdict.FAIL and job.command and _can_search(job):
        return f"{job.command} --auto"
    # Plain C is compiled to be checked, which needs a word of trust of its own.
    paths = [artifact.path for artifact in report.artifacts if artifact.format != "c"]
    words = ["mnist-parity", "check", original, *(paths or [a.path for a in report.artifacts])]
    if job.trust or not paths:
        words += ["--trust"]
    if job.beside is not None:
        words += job.beside.words()
    if job.data_path not in {None, "auto"}:
        words += _option("--data", str(job.data_path))
    if job.input_range != InputRange():
        words += job.input_range.words()
    if job.head != "auto":
        words += ["--head", job.head]
    if job.threshold is not None:
        words += ["--threshold", threshold_text(job.threshold)]
    if job.max_error is not None:
        words += ["--max-error", f"{job.max_error:g}"]
    if job.resize != "bilinear" and job.data_path is not None:
        words += ["--resize", str(job.resize)]
    return shlex.join(words)


def _option(flag: str, value: str) -> list[str]:
    """A flag and its value, as one word where the value would be taken for a flag."""
    return [f"{flag}={value}"] if value.startswith("-") else [flag, value]


def _can_search(job: Job) -> bool:
    extra = job.extra
    asked = extra.auto or extra.trains or extra.exact or job.until is not None
    return not asked and job.scheme.precision in {Precision.INT8, Precision.INT16X8}


def write_report(
    report: Report,
    result: CheckResult,
    dataset: Dataset,
    folder: Path,
    side: SideFiles,
    *,
    loaded: LoadedModel,
    stem: str,
) -> None:
    """Write report.json and report.html beside the artifacts, and what else was asked for."""
    from mnist_export.report.markdown import append_step_summary, markdown_summary
    from mnist_export.report.write import write_reports
    from mnist_export.train.figures import report_figures

    flips = sorted({f.index for c in result.candidates for f in c.parity.flips[:_FLIP_PICTURES]})
    write_reports(
        report,
        folder,
        stem,
        images={index: dataset.test.images[index] for index in flips},
        figures=report_figures(loaded.model, dataset) if report.head == "classes" else {},
        junit=side.junit,
    )
    if side.summary is not None:
        append_step_summary(markdown_summary(report), side.summary)


def report_path(report: Report) -> Path:
    """Where the run's HTML report is, for the closing line."""
    first = Path(report.artifacts[0].path)
    return first.with_name(first.name.removesuffix(first.suffix) + ".report.html")
