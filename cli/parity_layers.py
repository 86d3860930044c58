"""``mnist-parity layers``: the error after each layer, and the first layer over its budget."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.cli.console import EXIT_PASS, EXIT_VERDICT, Console, emit, emit_json, printable
from mnist_export.cli.parity_options import (
    add_model_options,
    existing,
    load_data,
    open_kernels,
    open_original,
    sides_of,
)
from mnist_export.core.errors import InputError

if TYPE_CHECKING:
    from mnist_export.parity.layers.comparison import LayersResult
    from mnist_export.runtime.devices.device import Device

_EXAMPLES = """examples:
  mnist-parity layers lenet5.keras exports/lenet5-mnist.int8.tflite
  mnist-parity layers int8.tflite int8.onnx
  mnist-parity layers int8.tflite int8.tflite --kernels xnnpack,reference --budget-steps 1
  mnist-parity layers int8.tflite int8.tflite --on tflm
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``layers``."""
    parser.epilog = _EXAMPLES
    parser.add_argument(
        "reference", metavar="REFERENCE", help="a model, or a golden .npz recorded with --layers"
    )
    parser.add_argument("candidate", metavar="CANDIDATE", help=".tflite, .onnx, .keras or .h5")
    add_model_options(parser)
    parser.add_argument(
        "--budget-steps", type=float, metavar="S", help="allowed error of a quantized channel, RMS steps (2)"
    )
    parser.add_argument(
        "--budget-sqnr", type=float, metavar="DB", help="least SQNR of a float layer, dB (30)"
    )
    parser.add_argument(
        "--on",
        metavar="DEVICE",
        help="run the candidate on this device: tflm, cortex-a53, cortex-a72, cortex-a76 or arm64-max",
    )


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``layers``; returns 0 where all layers are within their budgets, else 1."""
    from mnist_export.parity.layers.activations import activations_of, default_images
    from mnist_export.parity.layers.comparison import BUDGET_SQNR_DB, BUDGET_STEPS, compare_layers
    from mnist_export.parity.layers.on_device import activations_on, first_difference
    from mnist_export.parity.pixel_rules import adopt_rule
    from mnist_export.parity.results import to_json
    from mnist_export.runtime.runners.golden import GoldenRunner

    existing([arguments.candidate])
    device = _device(arguments)
    count = arguments.images
    arguments.images = None
    if count is not None and count < 1:
        raise InputError(f"--images: expected at least 1, found {count}.")
    theirs, ours = sides_of(arguments)
    named = not Path(arguments.reference).exists()
    dataset = load_data(arguments, console) if named else None
    with open_original(arguments.reference, dataset, theirs, console) as reference:
        recorded = reference.golden.meta.data if isinstance(reference, GoldenRunner) else None
        dataset = dataset or load_data(arguments, console, recorded=recorded)
        count = count or default_images(dataset.test.images)
        if isinstance(reference, GoldenRunner):
            count = min(count, min((len(v) for v in reference.golden.layers.values()), default=count))
            reference.golden.require(dataset.test, label=reference.label)
        with open_kernels(arguments.candidate, ours) as candidate:
            if adopted := adopt_rule(reference, [candidate]):
                console.note(adopted)
            wanted = activations_of(reference, dataset.test.images, count=count)
            found = (
                activations_of(candidate, dataset.test.images, count=count)
                if device is None
                else activations_on(device, candidate, dataset.test.images[:count])
            )
            result = compare_layers(
                wanted,
                found,
                budget_steps=BUDGET_STEPS if arguments.budget_steps is None else arguments.budget_steps,
                budget_sqnr_db=BUDGET_SQNR_DB if arguments.budget_sqnr is None else arguments.budget_sqnr,
            )
    if arguments.json:
        emit_json(to_json(result))
    else:
        emit(_table(result))
        if device is not None:
            emit("\n" + first_difference(result, device.name))
    if result.unmatched:
        console.detail(f"not matched: {', '.join(result.unmatched)}")
    return EXIT_PASS if result.first is None else EXIT_VERDICT


def _device(arguments: argparse.Namespace) -> Device | None:
    """The device of ``--on``, ready."""
    if arguments.on is None:
        return None
    from mnist_export.runtime.devices.registry import devices_of, require_ready

    devices = devices_of("--on", arguments.on)
    if len(devices) != 1:
        raise InputError(f"--on: expected one device, found {arguments.on}.")
    require_ready(devices)
    return devices[0]


def _table(result: LayersResult) -> str:
    from mnist_export.report.markdown import render_table

    header = (
        "layer",
        "operator",
        "reference",
        "RMS steps",
        "worst channel",
        "budget",
        "max steps",
        "SQNR",
        "",
    )
    rows = [
        (
            printable(layer.candidate),
            layer.kind,
            printable(layer.reference),
            _number(layer.rmse_steps),
            f"{_number(layer.worst_channel_steps)} (#{layer.worst_channel})",
            _number(layer.budget_steps),
            _number(layer.max_steps),
            "equal" if layer.max_abs_error == 0 else f"{_number(layer.sqnr_db)} dB",
            "OVER" if layer.exceeds else "",
        )
        for layer in result.layers
    ]
    right = (False, False, False, True, True, True, True, True, False)
    return f"{result.why}\n\n{render_table(header, rows, right)}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
