"""The rows of files on devices: in the console, in Markdown, on the page."""

from __future__ import annotations

from mnist_export.parity.on_devices import OnDevice
from mnist_export.report.markup import Html, bullets, el, section, table
from mnist_export.report.schema import Report

HEADER = ("file", "device", "outputs differ", "labels differ", "top-1", "arena", "p50", "verdict")
RIGHT = (False, False, True, True, True, True, True, False)


def device_cells(row: OnDevice) -> tuple[str, ...]:
    """One row as text; "-" stands for what a device does not say."""
    if row.differing is None:
        return (row.file, row.device, *("-",) * 5, row.verdict)
    return (
        row.file,
        row.device,
        f"{row.differing:,} of {row.values:,}",
        "-" if row.labels_differ is None else f"{row.labels_differ:,} of {row.images:,}",
        "-" if row.top1 is None else f"{row.top1:.2%}",
        f"{row.arena_bytes:,} B" if row.arena_bytes else "-",
        f"{row.latency_us:,.0f} us" if row.latency_us else "-",
        row.verdict,
    )


def device_rows(report: Report) -> list[tuple[str, ...]]:
    """All rows as text, below `HEADER`."""
    return [device_cells(row) for row in report.devices]


def device_reasons(report: Report) -> list[str]:
    """Why rows are no pass or differ, each in a sentence that names file and device."""
    told = []
    for row in report.devices:
        if row.verdict != "pass" and row.why:
            told.append(f"{row.file} on {row.device}: {row.why}")
        elif row.differing:
            told += [f"{row.file} on {row.device}: {text}" for text in row.figures.values()]
    return told


def devices(report: Report) -> Html:
    """The page's section; nothing without devices."""
    if not report.devices:
        return Html("")
    return section(
        "devices",
        "On devices",
        el("p", "Outputs are compared with the file's own runtime on this machine.", class_="legend"),
        table(HEADER, [list(row) for row in device_rows(report)], numeric=(2, 3, 4, 5, 6)),
        bullets(device_reasons(report)),
    )
