"""The zoo's results as Markdown."""

from __future__ import annotations

import textwrap
from typing import Any

_INTRODUCTION = """# The zoo, measured

Each architecture trained with `mnist-train` and exported with `mnist-export --format tflite,onnx --int8`.
The best epoch is chosen on validation images; the test images are looked at once, after that. Intervals are
Wilson's, 95 %. "Drop" is the float model's top-1 minus the file's, in percentage points, over all test
images. Made by `python benchmarks/zoo.py`; the numbers behind it are in `benchmarks/results/zoo.json`.
"""


def _percent(value: float) -> str:
    return f"{value:.2%}".replace("%", " %")


def _seed(row: dict[str, Any]) -> str:
    return "-" if row["seed_top1"] is None else f"{row['seed_top1']:.2%}".replace("%", " %")


def _target(row: dict[str, Any]) -> str:
    if row["target"] is None:
        return "-"
    return f"{_percent(row['target'])} {'reached' if row['reached'] else 'not reached'}"


def _drop(row: dict[str, Any], kind: str) -> str:
    exported = row["int8"]
    return "-" if not exported or kind not in exported else f"{exported[kind]['drop_pp']:+.2f}"


def _verdict(row: dict[str, Any]) -> str:
    return row["int8"]["verdict"] if row["int8"] else "-"


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "| --- |" + " ---: |" * (len(header) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines)


def _accuracy(rows: list[dict[str, Any]]) -> str:
    header = ("model", "source's figure", "top-1 here", "95 % interval", "target", "int8 TFLite drop",
              "int8 ONNX drop", "verdict")  # fmt: skip
    body = [
        (
            row["model"],
            _seed(row),
            _percent(row["top1"]),
            " to ".join(_percent(value) for value in row["top1_interval"]),
            _target(row),
            _drop(row, "tflite"),
            _drop(row, "onnx"),
            _verdict(row),
        )
        for row in rows
    ]
    return _table(header, body)


def _training(rows: list[dict[str, Any]]) -> str:
    header = ("model", "parameters", "MACs", "recipe", "best epoch", "seconds", "test loss", "validation")
    body = [
        (
            row["model"],
            f"{row['parameters']:,}",
            f"{row['macs']:,}",
            row["recipe"].replace("+changes", ", changed"),
            f"{row['best_epoch']} of {row['epochs_run']}",
            f"{row['seconds']:,.0f}",
            f"{row['test_loss']:.4f}",
            _percent(row["validation_top1"]),
        )
        for row in rows
    ]
    return _table(header, body)


def _notes(rows: list[dict[str, Any]]) -> str:
    lines = []
    for row in rows:
        parts = [row["note"]] if row["note"] else []
        if row["seed_top1"] is not None:
            parts.append(f"source: {row['seed_note']}")
        if row["reached"] is False:
            low, high = row["top1_interval"]
            inside = "holds" if low <= row["target"] <= high else "does not hold"
            parts.append(f"the target of {_percent(row['target'])} is not reached; the interval {inside} it")
        if parts:
            lines.append(f"- {row['model']}: {'; '.join(parts)}.")
    return "\n".join(lines)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Write the page: accuracy by data set, how each was trained, notes, commands."""
    parts = [_INTRODUCTION]
    for data in dict.fromkeys(row["data"] for row in rows):
        chosen = sorted((row for row in rows if row["data"] == data), key=lambda row: -row["top1"])
        images = chosen[0]["test_images"]
        parts.append(f"## {data} ({images:,} test images)\n\n{_accuracy(chosen)}\n")
    parts.append(f"## How they were trained\n\n{_training(rows)}\n")
    machines = sorted({row["machine"] for row in rows})
    parts.append(
        f"Trained on: {'; '.join(machines)}. Seconds are wall time of all epochs with their validation, on a "
        "machine that was busy with other work as well: they say what to expect, not what is possible.\n"
    )
    if notes := _notes(rows):
        parts.append(f"## Notes\n\n{notes}\n")
    commands = "\n".join(f"    {row['command']}" for row in rows)
    mark = "<!-- not run: minutes to an hour each; training.md has short ones -->"
    parts.append(f"## Commands\n\n{mark}\n```sh\n{textwrap.dedent(commands).strip()}\n```\n")
    return "\n".join(parts)
