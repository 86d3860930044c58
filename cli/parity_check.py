"""``mnist-parity check``: candidates against a reference, over the whole test set."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.cli.common import EXIT_PASS, EXIT_VERDICT, Console, emit, emit_json
from mnist_export.cli.parity_options import (
    add_model_options,
    existing,
    load_data,
    open_kernels,
    open_original,
)
from mnist_export.core.errors import InputError

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.report.schema import Report
    from mnist_export.runtime.parity import Thresholds
    from mnist_export.runtime.results import CheckResult
    from mnist_export.runtime.runner import Runner

_EXAMPLES = """examples:
  mnist-parity check lenet5.keras exports/lenet5-mnist.int8.tflite exports/lenet5-mnist.int8.onnx
  mnist-parity check golden.npz model.tflite --max-drop 0.2 --min-agreement 99.5 --junit parity.xml
  mnist-parity check float.onnx int8.onnx --data digits --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``check``."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "reference",
        metavar="REFERENCE",
        help="golden .npz, .keras, .h5, SavedModel, .tflite, .onnx, or a name",
    )
    parser.add_argument("candidates", metavar="CANDIDATE", nargs="+", help=".tflite, .onnx, .keras or .h5")
    add_model_options(parser)
    parser.add_argument("--max-drop", metavar="PP", help="largest loss of top-1, percentage points (0.5)")
    parser.add_argument("--min-agreement", metavar="PCT", help="smallest share of equal labels, percent (99)")
    parser.add_argument(
        "--config", metavar="FILE", help="thresholds from a parity.toml (default: ./parity.toml)"
    )
    parser.add_argument("--no-latency", action="store_true", help="compare answers only")
    parser.add_argument(
        "--pin", action="store_true", help="hold the process on fixed processors while timing"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML for a CI service")
    parser.add_argument(
        "--summary", type=Path, metavar="FILE", help="append a Markdown summary (CI step summary)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="write report.json and report.html there"
    )


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``check``; returns 0 where every candidate passes, else 1."""
    from mnist_export.runtime.checking import check
    from mnist_export.runtime.golden import GoldenRunner
    from mnist_export.runtime.latency import pinned

    limits = _limits(arguments)
    existing(arguments.candidates)
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        if arguments.pin:
            # before runtimes start their threads, which inherit it
            stack.enter_context(pinned(max(1, arguments.threads)))
        reference, dataset = _reference_and_data(arguments, console)
        stack.enter_context(reference)
        candidates = [stack.enter_context(open_kernels(path, arguments)) for path in arguments.candidates]
        if any(isinstance(runner, GoldenRunner) for runner in candidates):
            raise InputError("check: a golden file can only be the reference, which comes first.")
        loaded = time.perf_counter() - started
        result = check(
            reference,
            candidates,
            dataset.test,
            thresholds=limits,
            timed=not arguments.no_latency,
            notify=console.note,
        )
        result = _explained(result, candidates, dataset)
    result = dataclasses.replace(result, seconds={"load": loaded, **result.seconds})
    report = _report(result, dataset, reference, arguments)
    _write(report, result, dataset, arguments, console)
    for note in result.reference.notes:
        console.note(f"note: {result.reference.label}: {note}")
    if arguments.json:
        emit_json(_as_json(report))
    else:
        _print(report, console)
    return EXIT_PASS if result.verdict.value == "pass" else EXIT_VERDICT


def _explained(result: CheckResult, runners: Sequence[Runner], dataset: Dataset) -> CheckResult:
    """Add to integer .onnx files that are slower than the original where their time goes."""
    from mnist_export.runtime.ort import OnnxRuntimeRunner
    from mnist_export.runtime.profile import profile, why_slow

    found = list(result.candidates)
    for place, (candidate, runner) in enumerate(zip(found, runners, strict=True)):
        ratio = candidate.vs_original.ratio if candidate.vs_original else 0.0
        integer = candidate.file is not None and candidate.file.precision.startswith("int")
        if ratio > 1 and integer and isinstance(runner, OnnxRuntimeRunner):
            text = why_slow(profile(runner, dataset.test.images[:1]), ratio=ratio)
            found[place] = dataclasses.replace(candidate, notes=(*candidate.notes, text))
    return dataclasses.replace(result, candidates=tuple(found))


def _limits(arguments: argparse.Namespace) -> Thresholds:
    from mnist_export.runtime.thresholds import thresholds_from

    return thresholds_from(
        config=Path(arguments.config) if arguments.config else None,
        max_drop=arguments.max_drop,
        min_agreement=arguments.min_agreement,
    )


def _reference_and_data(arguments: argparse.Namespace, console: Console) -> tuple[Runner, Dataset]:
    from mnist_export.runtime.golden import GoldenRunner

    path = Path(arguments.reference)
    if path.exists():
        reference = open_original(arguments.reference, None, arguments, console)
        recorded = reference.golden.meta.data if isinstance(reference, GoldenRunner) else None
        return reference, load_data(arguments, console, recorded=recorded)
    dataset = load_data(arguments, console)
    return open_original(arguments.reference, dataset, arguments, console), dataset


def _report(
    result: CheckResult, dataset: Dataset, reference: Runner, arguments: argparse.Namespace
) -> Report:
    from mnist_export.report.context import DataInfo, ModelInfo
    from mnist_export.report.measured import artifact_of, environment_of, reference_of, thresholds_of
    from mnist_export.report.schema import Report
    from mnist_export.runtime.environment import describe
    from mnist_export.runtime.golden import GoldenRunner

    file = result.reference.file
    meta = reference.golden.meta if isinstance(reference, GoldenRunner) else None
    environment = environment_of(describe(threads=arguments.threads))
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
        artifacts=tuple(artifact_of(candidate, result.thresholds) for candidate in result.candidates),
        environment=environment,
        timings_s=dict(result.seconds),
        thresholds=thresholds_of(result.thresholds),
        tool_version=environment.versions.get("mnist-export"),
    )


def _as_json(report: Report) -> dict[str, Any]:
    import json

    value: dict[str, Any] = json.loads(report.to_json())
    return value


def _write(
    report: Report, result: CheckResult, dataset: Dataset, arguments: argparse.Namespace, console: Console
) -> None:
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


def _print(report: Report, console: Console) -> None:
    from mnist_export.report.markdown import console_summary

    emit(console_summary(report).rstrip())
    for artifact in report.artifacts:
        console.detail(f"{artifact.name}: {artifact.why}")
        for note in artifact.notes:
            console.note(f"note: {artifact.name}: {note}")
