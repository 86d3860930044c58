"""``mnist-parity devices``, and the part of ``check`` that ``--on`` adds."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.cli.console import EXIT_PASS, Console, emit, emit_json, printable

if TYPE_CHECKING:
    from mnist_export.parity.on_devices import OnDevice
    from mnist_export.runtime.devices.device import Device

_EXAMPLES = """examples:
  mnist-parity devices
  mnist-parity devices --prepare tflm,openvino
  mnist-parity check lenet5.keras lenet5.int8.tflite --on tflm,openvino

A device is another runtime's own kernels on this machine. Preparing one fetches pinned packages into a Python
environment of its own in the cache (MNIST_EXPORT_CACHE); nothing is installed beside this program.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``devices``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--prepare", metavar="NAMES", help="make these ready: names separated by commas")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``devices``; returns 0 where what was to be prepared is ready."""
    from mnist_export.runtime.devices.registry import DEVICES, devices_of

    if arguments.prepare is not None:
        for device in devices_of("--prepare", arguments.prepare):
            device.prepare(console.note, quiet=not console.progress)
            console.note(f"{device.name}: ready")
    listed = [_described(DEVICES.get(name)) for name in DEVICES]
    if arguments.json:
        emit_json({"schema_version": 1, "devices": listed})
        return EXIT_PASS
    rows = [("device", "what it is", "reads", "state")]
    for entry in listed:
        state = "ready" if entry["ready"] else f"{entry['why']}; run: {entry['command']}"
        rows.append((entry["name"], entry["title"], ", ".join(entry["formats"]), state))
    emit(table_of(rows))
    return EXIT_PASS


def _described(device: Device) -> dict[str, Any]:
    why = device.why_not_ready()
    return {
        "name": device.name,
        "title": device.title,
        "needs": device.needs,
        "formats": list(device.formats),
        "ready": not why,
        "why": why,
        "command": f"mnist-parity devices --prepare {device.name}" if why else "",
    }


def chosen(arguments: argparse.Namespace) -> tuple[Device, ...]:
    """The devices of ``--on``, refused in one line where one is not ready or reads none of the files."""
    from mnist_export.pipeline.on_devices import devices_named

    return devices_named(arguments.on, [Path(path) for path in arguments.candidates])


def rows_as_json(rows: Sequence[OnDevice]) -> list[Any]:
    """The rows as ``json`` takes them."""
    from mnist_export.report.codec import encode

    return [
        encode(row) | {"runtime": row.runtime, "verdict": row.verdict.value if row.judged else None}
        for row in rows
    ]


def print_rows(rows: Sequence[OnDevice]) -> None:
    """Write a table with a row for each file and device, and why where one is not a pass, to stdout."""
    if not rows:
        return
    table = [
        ("file", "device", "logits differ", "largest", "labels differ", "top-1", "arena", "p50", "verdict")
    ]
    reasons = []
    for row in rows:
        verdict = row.verdict.value
        if row.differing is None:
            table.append((row.file, row.device, "-", "-", "-", "-", "-", "-", verdict))
        else:
            table.append(
                (
                    row.file,
                    row.device,
                    f"{row.differing:,} of {row.values:,}",
                    f"{row.largest:g}",
                    "-" if row.labels_differ is None else f"{row.labels_differ:,} of {row.images:,}",
                    "-" if row.top1 is None else f"{row.top1:.2%}",
                    f"{row.arena_bytes:,}" if row.arena_bytes else "-",
                    f"{row.latency_us:,.0f} us" if row.latency_us else "-",
                    verdict,
                )
            )
        if verdict != "pass":
            reasons.append(printable(f"  {row.file} on {row.device}: {row.why}"))
        elif row.differing:
            reasons += [printable(f"  {row.file} on {row.device}: {text}") for text in row.figures.values()]
    emit("\nOn devices, against each file's own runtime here (the verdict is against the original):\n")
    emit(table_of(table))
    if reasons:
        emit("\n".join(["", "Why:", *reasons]))


def table_of(rows: Sequence[tuple[str, ...]]) -> str:
    """Columns of one width, a line under the first row."""
    clean = [tuple(printable(cell) for cell in row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*clean, strict=True)]
    lines = [" | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in clean]
    return "\n".join([lines[0], "-|-".join("-" * width for width in widths), *lines[1:]])
