"""Peak memory and time of an export whose data is a folder of JPEGs of mixed sizes, by number of pictures.

Each run is the command itself in a process of its own; the folders are generated, seeded, and deleted again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 10


def write_folder(root: Path, count: int, *, seed: int = 0) -> int:
    """Write JPEGs of 60 to 400 pixels a side: one subfolder a class in train and test, half each.

    Args:
        root: the folder to make.
        count: pictures in all.
        seed: of their pixels and sizes.

    Returns:
        Bytes of all files.
    """
    from PIL import Image

    random = np.random.default_rng(seed)
    total = 0
    for number in range(count):
        label = number // 2 % CLASSES
        path = root / ("train", "test")[number % 2] / f"class-{label}" / f"{number:07}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = random.integers(0, 256, (6, 6, 3), np.uint8)
        coarse[label % 6, label // 6] = 255 - 20 * label
        width, height = random.integers(60, 401, 2).tolist()
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR).save(path, quality=90)
        total += path.stat().st_size
    return total


def write_model(path: Path, side: int) -> None:
    """Write a small convolutional classifier with random weights."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    keras.Sequential(
        [
            keras.Input((side, side, 3)),
            layers.Conv2D(8, 3, strides=2, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES),
        ]
    ).save(path)


def export_once(model: Path, data: Path, output: Path) -> dict[str, Any]:
    """Run ``mnist-export`` on a folder and read its peak memory from the system's accounting.

    Returns:
        Exit code, peak resident memory in bytes, seconds.
    """
    words = [
        "-m", "mnist_export.cli.export", str(model), "--int8", "--data", str(data), "--input-range", "0,1",
        "-o", str(output), "-q",
    ]  # fmt: skip
    started = time.perf_counter()
    pid = os.posix_spawn(sys.executable, [sys.executable, *words], os.environ)
    _, status, usage = os.wait4(pid, 0)
    return {
        "exit_code": os.waitstatus_to_exitcode(status),
        "peak_bytes": usage.ru_maxrss * 1024,
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> int:
    """Measure, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", default="2000,20000", help="numbers of pictures (default 2000,20000)")
    parser.add_argument("--side", type=int, default=160, help="the model's input, pixels a side")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="mnist-folders-") as text:
        folder = Path(text)
        write_model(folder / "net.keras", options.side)
        for count in (int(word) for word in options.counts.split(",")):
            data = folder / f"data-{count}"
            stored = write_folder(data, count)
            found = export_once(folder / "net.keras", data, folder / f"out-{count}")
            pixels = count * options.side * options.side * 3
            rows.append({"pictures": count, "files_bytes": stored, "pixels_bytes": pixels, **found})
            sys.stdout.write(
                f"{count:>9,} pictures, {pixels / 1e6:,.0f} MB of pixels: peak "
                f"{found['peak_bytes'] / 1e6:,.0f} MB, {found['seconds']:,.1f} s, exit {found['exit_code']}\n"
            )
            sys.stdout.flush()
    if options.output:
        options.output.write_text(json.dumps({"side": options.side, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
