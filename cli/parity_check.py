"""``mnist-parity check``: candidates against a reference, over the whole test set."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mnist_export.cli.console import EXIT_PASS, EXIT_VERDICT, Console, emit_json
from mnist_export.cli.export_options import add_head_options
from mnist_export.cli.parity_devices import chosen, print_rows, rows_as_json
from mnist_export.cli.parity_options import (
    add_model_options,
    existing,
    loader_of,
    opening_of,
)
from mnist_export.cli.parity_report import as_json, print_report, write_report
from mnist_export.cli.parser import CommandParser
from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.core.side_files import check_side_files

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.parity.comparison import Thresholds
    from mnist_export.parity.layers.error import LayerError
    from mnist_export.parity.results import CheckResult
    from mnist_export.runtime.runners.runner import Runner

_EXAMPLES = """examples:
  mnist-parity check lenet5.keras exports/lenet5-mnist.int8.tflite exports/lenet5-mnist.int8.onnx
  mnist-parity check golden.npz model.tflite --max-drop 0.2 --min-agreement 99.5 --junit parity.xml
  mnist-parity check integers.npz int8.tflite int8.onnx --on tflm        # record --integers: every integer
  mnist-parity check float.onnx int8.onnx --data digits --json
  mnist-parity check lenet5.keras int8.tflite int8.onnx --isolate --pin
  mnist-parity check lenet5.keras int8.tflite int8.onnx --on tflm,openvino
"""
# A Keras original is open here and in its own process: neither may take all of a GPU's memory.
_SHARED_GPU: Final = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


def configure(parser: CommandParser) -> None:
    """Add the options of ``check``."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "reference",
        metavar="REFERENCE",
        help="golden .npz, .keras, .h5, SavedModel, .tflite, .onnx, or a name",
    )
    parser.add_argument("candidates", metavar="CANDIDATE", nargs="+", help=".tflite, .onnx, .keras or .h5")
    models = parser.add_topic("input", "pixels, pictures, code of one's own")
    runs = parser.add_topic("running", "kernels, threads, how latency is measured")
    reports = parser.add_topic("reports", "side files, thresholds of a project, errors by layer")
    add_model_options(parser, runs=runs, models=models)
    parser.add_argument("--max-drop", metavar="PP", help="largest loss of top-1, percentage points (0.5)")
    parser.add_argument("--min-agreement", metavar="PCT", help="smallest share of equal labels, percent (99)")
    add_head_options(parser)
    parser.add_argument(
        "--on", metavar="DEVICES", help="also on these devices, such as tflm,openvino (mnist-parity devices)"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="write report.json and report.html there"
    )
    _add_running(runs)
    reports.add_argument(
        "--config", metavar="FILE", help="thresholds from a parity.toml (default: ./parity.toml)"
    )
    reports.add_argument("--layers", action="store_true", help="add errors by layer to the report")
    reports.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML for a CI service")
    reports.add_argument(
        "--summary", type=Path, metavar="FILE", help="append a Markdown summary (CI step summary)"
    )
    parser.add_whole_help()


def _add_running(group: Any) -> None:
    group.add_argument("--no-latency", action="store_true", help="compare answers only")
    group.add_argument("--pin", action="store_true", help="hold the process on fixed processors while timing")
    group.add_argument(
        "--isolate",
        action="store_true",
        help="time each model in a process of its own, as mnist-bench does; with --pin, each is held on "
        "processors of its own count of threads",
    )


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``check``; returns 0 where every candidate passes, on each device of ``--on`` too, else 1."""
    from mnist_export.parity.integer_golden import is_integers

    if is_integers(arguments.reference):
        from mnist_export.cli.parity_integers import check_golden

        return check_golden(arguments, console)
    return _compare(arguments, console)


def _compare(arguments: argparse.Namespace, console: Console) -> int:
    """Check files against answers of the original."""
    from mnist_export.parity.checking import check
    from mnist_export.parity.on_devices import check_on_devices
    from mnist_export.parity.opening import is_keras, open_all
    from mnist_export.parity.verdict import run_verdict
    from mnist_export.pipeline.check_report import build_report
    from mnist_export.report.reworded import reworded
    from mnist_export.runtime.runners.golden import GoldenRunner
    from mnist_export.runtime.timing.latency import pinned

    limits = _limits(arguments)
    existing(arguments.candidates)
    devices = chosen(arguments)
    check_side_files(
        {"--junit": arguments.junit, "--summary": arguments.summary},
        {
            "the reference": arguments.reference,
            "the data": arguments.data,
            **{f"'{path}'": path for path in arguments.candidates},
        },
    )
    if arguments.isolate and arguments.no_latency:
        raise InputError("--isolate: says how latency is measured; leave out --no-latency.")
    if arguments.isolate:
        for name, value in _SHARED_GPU.items():
            os.environ.setdefault(name, value)
    started = time.perf_counter()
    with contextlib.ExitStack() as stack:
        if (
            arguments.pin
            and not arguments.isolate
            and any(map(is_keras, (arguments.reference, *arguments.candidates)))
        ):
            console.warn("--pin is left out: Keras's thread pools would be held on too few processors.")
        elif arguments.pin and not arguments.isolate:
            # before runtimes start their threads, which inherit it
            stack.enter_context(pinned(max(1, arguments.threads)))
        how = opening_of(arguments, console)
        opened = open_all(
            stack, arguments.reference, arguments.candidates, loader_of(arguments, console), how
        )
        reference, candidates, dataset = opened.reference, opened.candidates, opened.dataset
        if any(isinstance(runner, GoldenRunner) for runner in candidates):
            raise InputError("check: a golden file can only be the reference, which comes first.")
        loaded = time.perf_counter() - started
        result = check(
            reference,
            candidates,
            dataset.test,
            thresholds=limits,
            head=opened.head,
            timed=not arguments.no_latency,
            pin=arguments.pin and arguments.isolate,
            isolate=arguments.isolate,
            notify=console.note,
        )
        result = _explained(result, candidates, dataset)
        original = result.reference.logits
        on_devices = check_on_devices(
            devices,
            candidates,
            dataset.test,
            original,
            thresholds=limits,
            head=opened.head,
            notify=console.note,
        )
        on_devices = tuple(dataclasses.replace(row, why=console.wording(row.why)) for row in on_devices)
        layers = [_layers(reference, runner, dataset, arguments) for runner in candidates]
    result = dataclasses.replace(result, seconds={"load": loaded, **result.seconds})
    _warn_of_weak(result, dataset, console)
    report = build_report(result, dataset, reference, layers=layers, threads=arguments.threads)
    report = reworded(report, console.wording)
    write_report(report, result, dataset, arguments, console)
    for note in result.reference.notes:
        console.note(f"note: {result.reference.label}: {note}")
    if arguments.json:
        emit_json(as_json(report) | ({"devices": rows_as_json(on_devices)} if devices else {}))
    else:
        print_report(report, console)
        print_rows(on_devices)
    verdict = run_verdict([result.verdict, *(row.verdict for row in on_devices)])
    return EXIT_PASS if verdict == "pass" else EXIT_VERDICT


def _warn_of_weak(result: CheckResult, dataset: Dataset, console: Console) -> None:
    """Warn where the original itself is no better than a constant."""
    from mnist_export.parity.input_ranges import near_chance

    if (own := result.reference.own) is not None:
        if own.warning:
            console.warn(own.warning)
    elif near_chance(result.reference.top1, dataset.test.labels):
        console.warn(
            f"{result.reference.label}: right on {result.reference.top1:.1%} of the images, no better than "
            "always the same answer. It is untrained, damaged, or for other data or another --input-range; "
            "agreeing with it means little."
        )


def _explained(result: CheckResult, runners: Sequence[Runner], dataset: Dataset) -> CheckResult:
    """Add to integer files that are slower than the original where their time goes."""
    from mnist_export.runtime.timing.profile import can_profile, profile, why_slow

    found = list(result.candidates)
    for place, (candidate, runner) in enumerate(zip(found, runners, strict=True)):
        ratio = candidate.vs_original.ratio if candidate.vs_original else 0.0
        integer = candidate.file is not None and candidate.file.precision.startswith("int")
        if ratio > 1 and integer and can_profile(runner):
            try:
                text = why_slow(profile(runner, dataset.test.images[:1]), ratio=ratio)
            except MnistExportError as error:  # the check itself stands
                text = f"where its time goes cannot be told: {error}"
            found[place] = dataclasses.replace(candidate, notes=(*candidate.notes, text))
    return dataclasses.replace(result, candidates=tuple(found))


def _layers(
    reference: Runner, candidate: Runner, dataset: Dataset, arguments: argparse.Namespace
) -> tuple[LayerError, ...]:
    """Errors by layer on the first images, where they were asked for."""
    if not arguments.layers:
        return ()
    from mnist_export.parity.layers.activations import activations_of
    from mnist_export.parity.layers.comparison import compare_layers

    theirs = activations_of(reference, dataset.test.images)
    count = len(theirs[0].values)
    return compare_layers(theirs, activations_of(candidate, dataset.test.images, count=count)).errors()


def _limits(arguments: argparse.Namespace) -> Thresholds:
    from mnist_export.parity.thresholds import thresholds_from

    return thresholds_from(
        config=Path(arguments.config) if arguments.config else None,
        max_drop=arguments.max_drop,
        min_agreement=arguments.min_agreement,
    )
