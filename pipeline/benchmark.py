"""What ``mnist-bench`` does: exports each version, measures, writes, compares."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mnist_export.core.errors import InputError, MissingExtraError, UnsupportedError
from mnist_export.core.kinds import Verdict
from mnist_export.core.pixels import InputRange
from mnist_export.pipeline.jobs.options import DEFAULT_EPOCHS
from mnist_export.pipeline.jobs.progress import Progress
from mnist_export.report.benchmark_compare import Comparison, Limits
from mnist_export.runtime.bench.measuring import Plan, Target

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.report.benchmark import Benchmark, BenchmarkRow

# What a version's name means to an export.
VERSIONS: Final[Mapping[str, Mapping[str, object]]] = {
    "float32": {"precision": "float32"},
    "float16": {"precision": "float16"},
    "dynamic": {"precision": "dynamic"},
    "int8": {"precision": "int8"},
    "int16x8": {"precision": "int16x8"},
    "int8-exact": {"exact": True},
    "int8-qat": {"qat": DEFAULT_EPOCHS},
    "int8-portable": {"precision": "int8", "target": "portable"},
}
USUAL_VERSIONS: Final = ("float32", "float16", "dynamic", "int8", "int16x8")
QUICK_VERSIONS: Final = ("float32", "int8")
_RUNTIMES: Final = {"tflite": "litert", "onnx": "onnxruntime"}


@dataclass(frozen=True, kw_only=True)
class BenchJob:
    """One run of ``mnist-bench``, checked.

    Attributes:
        models: architectures' names or model files.
        precisions: names in `VERSIONS`.
        formats: ``tflite``, ``onnx``.
        data: what ``--data`` said.
        input_range: what pixel values 0 and 255 become for the models.
        plan: batch sizes, threads, effort.
        images: only so many test images; None takes all.
        trust: a SavedModel may be opened.
        output: a folder, or a .json that the files are named after.
        compare: an earlier run.
        results: results to take in place of measuring.
        limits: how much worse than the earlier run a figure may be.
        command: the command line, for the record.
    """

    models: tuple[str, ...]
    precisions: tuple[str, ...]
    formats: tuple[str, ...]
    data: str
    input_range: InputRange
    plan: Plan
    images: int | None
    trust: bool
    output: Path
    compare: Path | None
    results: Path | None
    limits: Limits
    command: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run gave.

    Attributes:
        benchmark: the figures.
        passed: whether nothing became worse than the limits; True where nothing was compared.
        summary: tables for a terminal.
    """

    benchmark: Benchmark
    passed: bool
    summary: str


def run_job(job: BenchJob, progress: Progress) -> Outcome:
    """Measure (or read) results, write them, and compare them.

    Args:
        job: what to do.
        progress: told what is being done.

    Raises:
        MnistExportError: bad input, or an output folder that cannot be written.
    """
    from mnist_export.core.files import write_atomic
    from mnist_export.report.benchmark_compare import compare_benchmarks, comparison_markdown
    from mnist_export.report.benchmark_table import benchmark_markdown

    old = _read(job.compare) if job.compare else None
    benchmark = _read(job.results) if job.results else _measure(job, progress)
    comparison: Comparison | None = None
    extra = ""
    if old is not None and job.compare is not None:
        comparison = compare_benchmarks(old, benchmark, job.limits)
        extra = "\n" + comparison_markdown(comparison, name=job.compare.name)
    if job.results is None:
        files = _files(job, benchmark, extra, progress)
        write_atomic(files)
        progress.note(f"results: {', '.join(str(path) for path in files)}")
    summary = extra.strip() if job.results else (benchmark_markdown(benchmark) + extra).rstrip()
    passed = comparison is None or comparison.verdict is Verdict.PASS
    return Outcome(benchmark=benchmark, passed=passed, summary=summary)


def _read(path: Path) -> Benchmark:
    from mnist_export.report.benchmark import Benchmark

    try:
        return Benchmark.from_json(path.read_bytes(), name=str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from error


def _files(job: BenchJob, benchmark: Benchmark, extra: str, progress: Progress) -> dict[Path, bytes]:
    from mnist_export.report.benchmark_table import benchmark_markdown
    from mnist_export.report.plots import benchmark_plots

    named = job.output.suffix == ".json"
    folder = job.output.parent if named else job.output
    stem = job.output.stem if named else "benchmark"
    try:
        plots = {f"{stem}-{name}.png": content for name, content in benchmark_plots(benchmark).items()}
    except MissingExtraError as error:
        progress.warn(f"no plots: {error}")
        plots = {}
    page = benchmark_markdown(benchmark, list(plots)) + extra
    return {
        **{folder / name: content for name, content in plots.items()},
        folder / f"{stem}.md": page.encode(),
        folder / f"{stem}.json": benchmark.to_json().encode("ascii"),  # last: where it is, the others are
    }


def _measure(job: BenchJob, progress: Progress) -> Benchmark:
    from datetime import datetime, timezone

    from mnist_export.data import load_dataset
    from mnist_export.report.benchmark import Benchmark
    from mnist_export.runtime.environment import describe

    dataset = load_dataset(job.data, notify=progress.warn)
    files = 1 + len(job.precisions) * len(job.formats)
    steps = len(job.precisions) + 1 + len(job.plan.threads) * (files + len(job.plan.batches))
    rows: list[BenchmarkRow] = []
    notes: list[str] = [*dataset.provenance.notes]
    with progress.bar(len(job.models) * steps) as bar:

        def notify(text: str) -> None:
            progress.detail(text)
            bar.describe(text)
            bar.advance()

        for model in job.models:
            rows += _measure_model(job, model, dataset, notes, notify)
            notes += [text for text in (_busy(),) if text and text not in notes]
    return Benchmark(
        environment=describe(threads=max(job.plan.threads)),
        rows=tuple(rows),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        images=min(job.images or len(dataset.test), len(dataset.test)),
        command=job.command,
        notes=tuple(notes),
    )


def _busy() -> str:
    """A note where other work on the machine bends wall times; empty on a quiet machine or where unknown."""
    import os

    from mnist_export.runtime.environment import usable_cores

    if not hasattr(os, "getloadavg"):
        return ""
    load, cores = os.getloadavg()[0], usable_cores()
    # the benchmark itself is one unit of load
    if load <= cores + 1:
        return ""
    return (
        f"The machine was busy: load {load:.0f} on {cores} processors. Ratios on one thread hold; wall times "
        "of long calls, and everything on several threads, are inflated."
    )


def _measure_model(
    job: BenchJob, model: str, dataset: Dataset, notes: list[str], notify: Callable[[str], None]
) -> tuple[BenchmarkRow, ...]:
    from mnist_export.parity.versions import measure_targets
    from mnist_export.report.benchmark_rows import ONNX_FLOAT, ORIGINAL, rows_of

    folder = Path(tempfile.mkdtemp(prefix="mnist-bench-"))
    try:
        wanted = {f"{p} {f}" for p in job.precisions for f in job.formats} | {ONNX_FLOAT}
        targets = [
            Target(
                name=ORIGINAL, path=model, runtime="keras", data=job.data, input_range=job.input_range,
                trust=job.trust,
            )
        ]  # fmt: skip
        # the ONNX float file is measured in any case: ratios are over it
        for precision in dict.fromkeys(("float32", *job.precisions)):
            notify(f"{model}: exporting {precision}")
            formats = [f for f in job.formats if f"{precision} {f}" in wanted]
            if precision == "float32" and "onnx" not in formats:
                formats.append("onnx")
            targets += _export(job, model, precision, formats=formats, folder=folder, notes=notes)
        test = dataset.test
        if job.images is not None:
            test = test.first(job.images)
        measured = measure_targets(
            [target for target in targets if target.name in wanted | {ORIGINAL}],
            test, plan=job.plan, baselines=(ORIGINAL, ONNX_FLOAT), notify=notify,
        )  # fmt: skip
        name = Path(model).stem if Path(model).suffix else model
        return rows_of(name, dataset.name, measured)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _export(
    job: BenchJob, model: str, precision: str, *, formats: list[str], folder: Path, notes: list[str]
) -> list[Target]:
    """Export through mnist-export's own job; what a format cannot carry becomes a note."""
    from mnist_export.pipeline.export import run_job as export
    from mnist_export.pipeline.request import job_with

    try:
        report = export(
            job_with(
                model=model,
                format=",".join(formats),
                data=job.data,
                input_range=f"{job.input_range.lo:g},{job.input_range.hi:g}",
                output=folder / precision,
                trust=job.trust,
                **VERSIONS[precision],
            )
        )
    except UnsupportedError as error:
        if len(formats) > 1:
            singles = [
                _export(job, model, precision, formats=[one], folder=folder, notes=notes) for one in formats
            ]
            return [target for found in singles for target in found]
        notes.append(f"{model} {precision} {formats[0]}: {error}")
        return []
    return [
        Target(
            name=f"{precision} {artifact.format}",
            path=str(artifact.path),
            runtime=_RUNTIMES[str(artifact.format)],
            variant=precision.partition("-")[2],
        )
        for artifact in report.artifacts
    ]
