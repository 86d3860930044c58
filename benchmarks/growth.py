"""How time and memory grow with images, pixels and operators: each run in a process of its own.

    python benchmarks/growth.py                    all three
    python benchmarks/growth.py images pixels      these
    python benchmarks/growth.py --table            only the page and the plot, from what is recorded

A run is ``mnist-export --format tflite,onnx --int8`` with the report. ``images`` are test images of 28x28 for
LeNet-5; ``pixels`` a network of five convolutions with pictures of growing sides, 100 training and 100 test
images; ``operators`` a residual network of growing depth at 32x32. Writes benchmarks/results/growth.json,
growth.png and docs/growth.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measured import measured

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "growth.json"
PLOT = HERE / "results" / "growth.png"
PAGE = HERE.parent / "docs" / "growth.md"
SEED = 0
SIZES: dict[str, tuple[int, ...]] = {
    "images": (1_000, 10_000, 100_000),
    "pixels": (32, 64, 128, 256, 512),
    "operators": (8, 32, 128, 512),
}
UNITS = {"images": "test images", "pixels": "pixels a side", "operators": "operators"}

INTRODUCTION = """# How cost grows

`mnist-export --format tflite,onnx --int8` with its report, each run in a process of its own; seconds are of the processor
(`user + system`), memory is the most that was resident. Most of a small run is TensorFlow's start. Made by
`python benchmarks/growth.py`; the numbers behind it are in `benchmarks/results/growth.json`.

![time and memory over images, pixels and operators](../benchmarks/results/growth.png)

Every stage takes images in batches that are chosen by bytes: as many as keep the activations of a batch within 256 MiB, at
least one. Calibration keeps every activation of a batch, so that large pictures go through it a few at a time. What is left to
grow is one image's activations and the weights, of which TensorFlow's converter makes some fourteen copies.

Before a model is read, and again before its graph is quantized, what the run will take is estimated and compared with what the
machine, or the control group that the process runs in, has free. A run that would not fit ends there, with both figures and exit
code 2; `--max-memory GIB` states another limit, lower or higher.
"""  # noqa: E501 - a page's paragraphs


def write_data(path: Path, train: int, test: int, shape: tuple[int, ...]) -> None:
    """Coarse noise of 10 classes; images are made a thousand at a time."""
    rng = np.random.default_rng(SEED)
    patterns = rng.integers(0, 256, (10, 4, 4, shape[2]), dtype=np.uint8)
    rows, columns = (np.arange(size) * 4 // size for size in shape[:2])
    parts = {}
    for part, count in (("train", train), ("test", test)):
        labels = np.arange(count) % 10
        images = np.empty((count, *shape), np.uint8)
        for start in range(0, count, 1000):
            chosen = patterns[labels[start : start + 1000]]
            noise = rng.integers(0, 128, chosen.shape, dtype=np.uint8)
            images[start : start + 1000] = (chosen // 2 + noise)[:, rows][:, :, columns]
        parts |= {f"x_{part}": images, f"y_{part}": labels}
    np.savez(path, **parts)


def five_convolutions(side: int) -> Any:
    """The same five convolutions for every size of picture."""
    import keras
    from keras import layers

    stack = [layers.Input((side, side, 3))]
    for filters in (16, 24, 32, 48, 64):
        stack.append(layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu"))
    return keras.Sequential([*stack, layers.GlobalAveragePooling2D(), layers.Dense(10)])


def residual(operators: int) -> Any:
    """Blocks of two convolutions and a sum: three operators each."""
    import keras
    from keras import layers

    image = layers.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(image)
    for _ in range(operators // 3):
        y = layers.Conv2D(16, 3, padding="same", activation="relu")(x)
        y = layers.Conv2D(16, 3, padding="same", kernel_initializer="zeros")(y)
        x = layers.Add()([x, y])
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def build(axis: str, size: int, folder: Path) -> None:
    """Write a model and its data; in a process of its own."""
    if axis == "images":
        write_data(folder / "data.npz", 1_000, size, (28, 28, 1))
        return
    import keras

    keras.utils.set_random_seed(SEED)
    model = five_convolutions(size) if axis == "pixels" else residual(size)
    model.save(folder / "net.keras")
    write_data(folder / "data.npz", 100, 100, tuple(model.input_shape[1:]))


def measure(axis: str, size: int) -> dict[str, Any]:
    """One run."""
    with tempfile.TemporaryDirectory(prefix="mnist-export-growth-") as temporary:
        folder = Path(temporary)
        made = measured([__file__, "--build", axis, str(size), temporary], timeout_s=600)
        if made.code:
            sys.exit(f"{axis} {size}: {made.message()}")
        model = str(folder / "net.keras") if axis != "images" else "lenet5"
        words = ["-m", "mnist_export.cli.export", model, "--data", str(folder / "data.npz"), "--json"]
        words += ["--format", "tflite,onnx", "--int8", "--input-range", "0,1", "-o", str(folder / "out")]
        run = measured(words, timeout_s=3600)
        if run.code not in (0, 1):
            sys.exit(f"{axis} {size}: {run.message()}")
        report = json.loads(run.output)
        return {
            "size": size,
            "operators": sum(report["artifacts"][0]["audit"]["operators"].values()),
            "wall_s": run.wall_s,
            "cpu_s": run.cpu_s,
            "peak_bytes": run.peak_bytes,
            "stages_s": report["timings_s"],
            "cpu": report["environment"]["cpu"],
        }


def plot(results: dict[str, list[dict[str, Any]]]) -> bytes:
    """Time above, memory below, over each of the three; PNG."""
    import io

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(UNITS), sharex="col", squeeze=False)
    shown: tuple[tuple[str, Callable[[dict[str, Any]], float]], ...] = (
        ("processor seconds", lambda row: row["cpu_s"]),
        ("peak memory, GiB", lambda row: row["peak_bytes"] / 2**30),
    )
    for column, (axis, unit) in enumerate(UNITS.items()):
        rows = results.get(axis, [])
        for row, (label, value) in enumerate(shown):
            panel = axes[row][column]
            panel.plot([_at(axis, r) for r in rows], [value(r) for r in rows], "o-", color=f"C{row}")
            panel.set_xscale("log")
            panel.set_ylim(bottom=0)
            panel.grid(visible=True, alpha=0.25)
            panel.spines[["top", "right"]].set_visible(False)
            if not column:
                panel.set_ylabel(label)
        axes[1][column].set_xlabel(unit)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _at(axis: str, row: dict[str, Any]) -> int:
    return int(row["operators"] if axis == "operators" else row["size"])


def page(results: dict[str, list[dict[str, Any]]]) -> str:
    """The page of the documentation."""
    lines = [INTRODUCTION]
    for axis, unit in UNITS.items():
        rows = results.get(axis, [])
        if not rows:
            continue
        lines += [f"| {unit} | processor seconds | peak memory |", "| ---: | ---: | ---: |"]
        lines += [
            f"| {_at(axis, row):,} | {row['cpu_s']:.1f} | {row['peak_bytes'] / 2**20:,.0f} MiB |"
            for row in rows
        ]
        first, last = rows[0], rows[-1]
        factor = _at(axis, last) / _at(axis, first)
        what = "pixels" if axis == "pixels" else unit
        factor = factor**2 if axis == "pixels" else factor
        lines.append(
            f"\n{factor:,.0f} times the {what}: {last['cpu_s'] / first['cpu_s']:.1f} times the time, "
            f"{last['peak_bytes'] / first['peak_bytes']:.2f} times the memory.\n"
        )
    return "\n".join(lines)


def main() -> int:
    """Measure, record, plot."""
    from mnist_export.core.files import write_atomic_one

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("axes", nargs="*", metavar="AXIS", help=f"of {', '.join(SIZES)}; all of them")
    parser.add_argument("--table", action="store_true", help="only the page, from what is recorded")
    parser.add_argument("--build", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        axis, size, folder = options.build
        build(axis, int(size), Path(folder))
        return 0
    if unknown := [axis for axis in options.axes if axis not in SIZES]:
        parser.error(f"no such axis: {', '.join(unknown)}. They are {', '.join(SIZES)}.")
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for axis in () if options.table else options.axes or tuple(SIZES):
        rows = []
        for size in SIZES[axis]:
            row = measure(axis, size)
            rows.append(row)
            print(
                f"{axis} {size:,}: {row['cpu_s']:.1f} s, {row['peak_bytes'] / 2**20:,.0f} MiB",
                file=sys.stderr,
                flush=True,
            )
        results[axis] = rows
        write_atomic_one(RESULTS, (json.dumps(results, indent=1, sort_keys=True) + "\n").encode())
    write_atomic_one(PLOT, plot(results))
    write_atomic_one(PAGE, page(results).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
