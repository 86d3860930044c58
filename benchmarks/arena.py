"""The arena that is computed for a file beside the one that TensorFlow Lite Micro reports, for ten networks.

    mnist-parity devices --prepare tflm
    python benchmarks/arena.py

Ordinary int8 in the form of ``--target tflm``. Weights do not matter to an arena: networks of the families
are not trained.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import mnist_export as mx
from mnist_export.core.files import write_atomic_one
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.export.tflm_arena import tflm_arena
from mnist_export.models.families import FamilyNetwork
from mnist_export.runtime.devices.tflm import DEVICE
from mnist_export.runtime.devices.tflm_arena import reported_arena
from mnist_export.runtime.environment import describe

NETWORKS: dict[str, dict[str, Any] | None] = {
    "lenet5": None,
    "custom1": None,
    "custom2": None,
    "mlp": None,
    "plain 8": {"family": "plain", "width": 8},
    "plain 4, flattened, dense 32": {"family": "plain", "width": 4, "head": "flatten", "dense": 32},
    "depthwise 8": {"family": "depthwise", "width": 8, "stages": 3},
    "depthwise 16, 5x5": {"family": "depthwise", "width": 16, "kernel": 5, "stem_stride": 2},
    "bottleneck 12": {"family": "bottleneck", "width": 12, "blocks": 2},
    "residual 16": {"family": "residual", "width": 16, "blocks": 2, "stages": 2},
}


def measure(name: str) -> dict[str, Any]:
    """One network: what is computed and what is reported."""
    settings = NETWORKS[name]
    model: Any = name if settings is None else FamilyNetwork.of(settings).build((28, 28, 1), 10)
    with tempfile.TemporaryDirectory() as folder:
        made = mx.export(
            model, target="tflm", data="digits", input_range=(0, 1), output=folder, on="none",
            min_agreement=0, max_drop=100,
        )  # fmt: skip
        content = made.artifacts["tflite"].path.read_bytes()
    computed, reported = tflm_arena(read_tflite(content)), reported_arena(content, name)
    if reported is None:
        raise SystemExit(f"{name}: TensorFlow Lite Micro does not run it")
    return {
        "network": name,
        "operators": len(read_tflite(content).ops),
        "computed": computed.size_bytes,
        "values": computed.values_bytes,
        "reported": reported,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| network | operators | TFLM's own report, bytes | computed, bytes | of them values | off by |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        off = row["computed"] / row["reported"] - 1
        lines.append(
            f"| {row['network']} | {row['operators']} | {row['reported']:,} | {row['computed']:,} | "
            f"{row['values']:,} | {off:+.1%} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/arena.json"))
    arguments = parser.parse_args()
    if why := DEVICE.why_not_ready():
        parser.error(f"tflm: {why}. Run: mnist-parity devices --prepare tflm")
    rows = []
    for name in NETWORKS:
        rows.append(measure(name))
        print(table(rows[-1:]).splitlines()[-1])
    record = {
        "schema_version": 1,
        "environment": describe(threads=1).to_json(),
        "tflm": DEVICE.requirements[0],
        "rows": rows,
    }
    write_atomic_one(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    write_atomic_one(arguments.output.with_suffix(".md"), (table(rows) + "\n").encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
