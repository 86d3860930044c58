"""Ordinary and exact int8 on every device that is ready here: what loads, differs, flips, and the arena.

    python benchmarks/devices.py [lenet5 custom2 resnet8 depthwise] [--data mnist] [--images N] [--on NAMES]

Prepare the devices first: ``mnist-parity devices --prepare NAMES``. Emulated processors are slow, so they see
fewer images of larger networks; the table says how many. What is measured again replaces its rows.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from small_nets import NETS, trained

import mnist_export as mx
from mnist_export.core.files import write_atomic_one
from mnist_export.data import Dataset, load_dataset
from mnist_export.parity.on_devices import check_on_devices
from mnist_export.parity.results import to_json
from mnist_export.runtime.devices.device import Device
from mnist_export.runtime.devices.registry import DEVICES, devices_of
from mnist_export.runtime.environment import describe
from mnist_export.runtime.runners.opening import open_runner

PAGE = Path("docs/devices.md")
MACS = 6_000_000_000  # images times MACs: what an emulated processor does in about 10 s
C_MACS = 550_000_000  # the same for generated C
FORMS: dict[str, dict[str, Any]] = {
    "ordinary": {"int8": True, "formats": ("tflite", "onnx")},
    "exact": {"exact": True, "formats": ("tflite", "onnx", "c")},
}


def measure(
    model: str, form: str, devices: Sequence[Device], dataset: Dataset, count: int
) -> list[dict[str, Any]]:
    """Rows of one network in one form."""
    with tempfile.TemporaryDirectory() as folder:
        source = str(trained(model, dataset)) if model in NETS else model
        made = mx.export(source, data=dataset, output=folder, on="none", **FORMS[form])
        macs = made.report.model.macs or 1
        rows: list[dict[str, Any]] = []
        for kind, artifact in made.artifacts.items():
            able = [device for device in devices if kind in device.formats]
            most = C_MACS if kind == "c" else MACS
            limit = min(count, max(20, most // macs), len(dataset.test))
            split = dataset.test.take(np.arange(limit))
            with open_runner(artifact.path, trust=True) as runner:
                logits = runner.run(split.images)
                started = time.perf_counter()
                found = check_on_devices(able, [runner], split, logits, notify=print)
            seconds = round(time.perf_counter() - started, 1)
            rows += [to_json(row) | {"model": model, "form": form, "format": kind} for row in found]
            print(f"{model} {form} {kind}: {seconds} s")
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| network | int8 | file | device | outputs differ | largest | labels differ | arena | remark |",
        "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        ran = row["differing"] is not None
        cells = [row["model"], row["form"], row["format"], row["device"]]
        cells += [f"{row['differing']:,} of {row['values']:,}" if ran else "-"]
        cells += [f"{row['largest']:g}" if ran else "-"]
        cells += [f"{row['labels_differ']:,} of {row['images']:,}" if ran else "-"]
        cells += [f"{row['arena_bytes']:,}" if row["arena_bytes"] else "-"]
        p50 = f"p50 {row['latency_us']:,.0f} us" if row["latency_us"] else ""
        why = row["why"].partition(": ")[2] if not ran and not row["figures"] else row["why"]
        cells += [p50 if ran else why.replace("|", "/")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


_GROUPS: dict[str, tuple[str, ...]] = {
    "tflm": ("tflm",),
    "Arm A53, A72, A76, max": ("cortex-a53", "cortex-a72", "cortex-a76", "arm64-max"),
    "web": ("web",),
    "openvino": ("openvino",),
    "openvino-f32": ("openvino-f32",),
    "tract": ("tract",),
    "Cortex-M4, RISC-V, armhf, s390x": ("cortex-m4", "riscv32", "armhf", "s390x"),
    "Ethos-U55-128, U85-256": ("ethos-u55-128", "ethos-u85-256"),
}
_BEGIN, _END = "<!-- devices: made by benchmarks/devices.py -->\n", "<!-- end of devices -->\n"


def overview(rows: Sequence[dict[str, Any]]) -> str:
    """A row for each file, a column for each kind of device: outputs that differ."""
    lines = [
        f"| network | int8 | file | {' | '.join(_GROUPS)} | arena |",
        f"|{' --- |' * (len(_GROUPS) + 4)}",
    ]
    for key in dict.fromkeys((row["model"], row["form"], row["format"]) for row in rows):
        own = [row for row in rows if (row["model"], row["form"], row["format"]) == key]
        cells = [_cell([row for row in own if row["device"] in names]) for names in _GROUPS.values()]
        arenas = sorted({row["arena_bytes"] for row in own if row["arena_bytes"]})
        lines.append(f"| {' | '.join([*key, *cells, *[' to '.join(f'{a:,}' for a in arenas) or '-']])} |")
    return "\n".join(lines) + "\n"


def _cell(rows: Sequence[dict[str, Any]]) -> str:
    """What the devices of one column found: the worst of those that ran."""
    ran = [row for row in rows if row["differing"] is not None]
    if ran:
        worst = max(ran, key=lambda row: row["differing"] / row["values"])
        flips = worst["labels_differ"]
        labels = f", {flips} label{'s' if flips > 1 else ''}" if flips else ""
        count = f" ({len(ran)} devices)" if len(ran) > 1 else ""
        return f"{worst['differing']:,} of {worst['values']:,}{labels}{count}"
    compiled = [row for row in rows if row["figures"]]
    if compiled:
        back = any("fall back" in row["figures"] for row in compiled)
        return "compiles, some operators on the CPU" if back else "compiles, all on the NPU"
    return "refused" if rows else "-"


def write_page(page: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Put the overview between its two marks in the page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    write_atomic_one(page, f"{before}{_BEGIN}\n{overview(rows)}\n{_END}{after}".encode())


def main() -> int:
    """Measure and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["lenet5", "custom2", "resnet8", "depthwise"])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--on", metavar="NAMES", help="these devices; all that are ready where left out")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/devices.json"))
    parser.add_argument("--table", action="store_true", help="only the tables, from what is recorded")
    arguments = parser.parse_args()
    if arguments.table:
        recorded = json.loads(arguments.output.read_text(encoding="utf-8"))["rows"]
        write_atomic_one(arguments.output.with_suffix(".md"), (table(recorded) + "\n").encode())
        write_page(PAGE, recorded)
        return 0
    known: Sequence[Device] = (
        devices_of("--on", arguments.on) if arguments.on else [DEVICES.get(name) for name in DEVICES]
    )
    absent = {device.name: why for device in known if (why := device.why_not_ready())}
    devices = [device for device in known if device.name not in absent]
    dataset = load_dataset(arguments.data, notify=print)
    rows: list[dict[str, Any]] = []
    if arguments.output.exists():
        before = json.loads(arguments.output.read_text(encoding="utf-8"))["rows"]
        names = {device.name for device in devices}
        rows = [r for r in before if r["model"] not in arguments.models or r["device"] not in names]
    for model in arguments.models:
        for form in FORMS:
            rows += measure(model, form, devices, dataset, arguments.images)
        record = {
            "schema_version": 1,
            "environment": describe(threads=1).to_json(),
            "data": arguments.data,
            "not_measured": absent,
            "rows": rows,
        }
        write_atomic_one(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
        write_atomic_one(arguments.output.with_suffix(".md"), (table(rows) + "\n").encode())
    if arguments.output == parser.get_default("output"):
        write_page(PAGE, rows)
    print(table(rows))
    for name, why in absent.items():
        print(f"{name}: not measured ({why})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
