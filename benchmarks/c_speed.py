"""How fast generated C is beside LiteRT with the same integers, and what it costs a microcontroller.

    python benchmarks/c_speed.py                               lenet5 and custom2
    python benchmarks/c_speed.py --before FOLDER               beside NAME.c and NAME.h of an earlier version
    python benchmarks/c_speed.py --table                       the table of docs/exact-int8.md from the record

Writes benchmarks/results/c_speed.json. LiteRT runs two exact files, one thread, batch 1: the plain form,
which is the network that the C is, and the form that ``--target native`` rewrites for it. All take turns of
some milliseconds in one process; a ratio is the median over the rounds of the quotient of two neighbours, in
the thread's processor time, which other processes do not add to. A turn calls C's ``_predict`` from a loop in
C, and LiteRT's ``invoke`` from a loop in Python, as users of either do.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
RESULTS = HERE / "results" / "c_speed.json"
FLAGS = (("-O3", "-march=native"), ("-O2", "-march=native"), ("-O3", "-march=x86-64-v3"), ("-O2",), ("-O3",))
TURN_NS = 1_500_000
CHECKED = 1000
SLOW_MACS = 2_000_000
"""Networks above are not counted: QEMU logs some million instructions a second."""
_LOOP = """\
#include "model.h"
void turns(int count, const uint8_t *pixels, int8_t *logits);
void turns(int count, const uint8_t *pixels, int8_t *logits)
{
    while (count--) (void)@NAME@_predict(pixels, logits);
}
void batch(int count, const uint8_t *pixels, int8_t *logits);
void batch(int count, const uint8_t *pixels, int8_t *logits)
{
    int i;
    for (i = 0; i < count; i++)
        (void)@NAME@_predict(pixels + i * @UPPER@_PIXELS, logits + i * @UPPER@_CLASSES);
}
"""


def compiled(folder: Path, files: dict[str, bytes], flags: tuple[str, ...]) -> ctypes.CDLL:
    """The network as a shared library with a loop around it."""
    name = re.search(rb"^int (\w+)_predict\(", files[".h"], re.MULTILINE)
    if name is None:
        raise ValueError("expected a header that declares NAME_predict")
    word = name[1].decode()
    place = Path(tempfile.mkdtemp(dir=folder))
    source = re.sub(rb'#include "[^"]+"', b'#include "model.h"', files[".c"], count=1)
    (place / "model.c").write_bytes(source)
    (place / "model.h").write_bytes(files[".h"])
    (place / "loop.c").write_text(_LOOP.replace("@NAME@", word).replace("@UPPER@", word.upper()))
    command = ["gcc", "-std=c99", *flags, "-shared", "-fPIC", "-o", "model.so", "model.c", "loop.c"]
    subprocess.run(command, cwd=place, check=True)
    return ctypes.CDLL(str(place / "model.so"))


def interpreter(content: bytes, image: np.ndarray[Any, Any]) -> Callable[[int], None]:
    """LiteRT with one thread and one image set."""
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=content, num_threads=1)
    entry = made.get_input_details()[0]
    made.allocate_tensors()
    made.set_tensor(entry["index"], (image.astype(np.int16) - 128).astype(np.int8)[None])

    def turns(count: int) -> None:
        for _ in range(count):
            made.invoke()

    return turns


def calls_of(library: ctypes.CDLL, image: np.ndarray[Any, Any], classes: int) -> Callable[[int], None]:
    """The loop in C on one image."""
    pixels, logits = np.ascontiguousarray(image), np.empty(classes, np.int8)

    def turns(count: int) -> None:
        library.turns(count, ctypes.c_void_p(pixels.ctypes.data), ctypes.c_void_p(logits.ctypes.data))

    return turns


def timed(entries: dict[str, Callable[[int], None]], base: str, rounds: int) -> dict[str, dict[str, Any]]:
    """Microseconds a call, and ratios to one entry's turn of the same round."""
    counts = {}
    for name, turns in entries.items():
        turns(3)
        started = time.perf_counter_ns()
        turns(5)
        counts[name] = max(5, int(TURN_NS / max((time.perf_counter_ns() - started) / 5, 1)))
    cpu: dict[str, list[float]] = {name: [] for name in entries}
    wall: dict[str, list[float]] = {name: [] for name in entries}
    for _ in range(rounds):
        for name, turns in entries.items():
            turns(2)
            began, started = time.thread_time_ns(), time.perf_counter_ns()
            turns(counts[name])
            cpu[name].append((time.thread_time_ns() - began) / counts[name] / 1e3)
            wall[name].append((time.perf_counter_ns() - started) / counts[name] / 1e3)
    found = {}
    for name in entries:
        ratios = np.array(cpu[name]) / np.array(cpu[base])
        low, middle, high = np.percentile(ratios, (10, 50, 90))
        found[name] = {
            "cpu_us": round(float(np.median(cpu[name])), 2),
            "wall_us": {f"p{p}": round(float(np.percentile(wall[name], p)), 2) for p in (10, 50, 90)},
            "ratio": round(float(middle), 3),
            "ratio_p10_p90": [round(float(low), 3), round(float(high), 3)],
        }
    return found


def measure(spec: str, dataset: Any, before: Path | None, rounds: int, folder: Path) -> dict[str, Any]:
    """One model: equality, times and costs."""
    import c_cortex
    from exact import CALIBRATION, SCHEME, SEED, files_of

    from mnist_export.core.graph.tflite_writer import write_tflite
    from mnist_export.core.kinds import Format
    from mnist_export.data import stratified_sample
    from mnist_export.export.rewriting import rewritten
    from mnist_export.quantize.exact import quantize_exact
    from mnist_export.quantize.lowering import lower
    from mnist_export.runtime.runners.litert import LiteRtRunner
    from mnist_export.train.obtaining import load_or_train

    loaded = load_or_train(spec, None if Path(spec).exists() else dataset, trust=True, notify=print)
    sample = dataset.train.take(stratified_sample(dataset.train, CALIBRATION, SEED)).images
    exact = quantize_exact(
        lower(loaded.model, tuple(loaded.input_shape)), sample, dataset.validation, SCHEME, seed=SEED
    )
    files = files_of(exact, loaded.name)
    images = dataset.test.images[:CHECKED]
    with LiteRtRunner(files[".tflite"], label="litert") as runner:
        expected = runner.run_integers(images)
    forms = {"": files}
    if before is not None and (before / f"{loaded.name}.c").exists():
        forms["before "] = {e: (before / f"{loaded.name}{e}").read_bytes() for e in (".c", ".h")}
    entries = {
        "litert": interpreter(files[".tflite"], images[0]),
        "litert native": interpreter(write_tflite(rewritten(exact, Format.TFLITE).model.graph), images[0]),
    }
    differing = {}
    for prefix, form in forms.items():
        for flags in FLAGS:
            name = f"{prefix}c {' '.join(flags)}"
            library = compiled(folder, form, flags)
            logits = np.empty(expected.shape, np.int8)
            library.batch(
                len(images), ctypes.c_void_p(images.ctypes.data), ctypes.c_void_p(logits.ctypes.data)
            )
            differing[name] = int((logits != expected).sum())
            entries[name] = calls_of(library, images[0], expected.shape[1])
    result: dict[str, Any] = {
        "model": loaded.name, "macs": loaded.macs, "images": len(images), "logits_differ": differing,
        "times": timed(entries, "litert", rounds),
        "source_bytes": {f"{prefix}c": len(form[".c"]) + len(form[".h"]) for prefix, form in forms.items()},
    }  # fmt: skip
    missing = c_cortex.why_not()
    result["cortex_m4"] = missing or {
        f"{prefix}c {level}": c_cortex.cost(form[".c"], form[".h"], level, counted=loaded.macs < SLOW_MACS)
        for prefix, form in forms.items()
        for level in c_cortex.LEVELS
    }
    return result


def table(record: dict[str, Any]) -> str:
    """The record as Markdown."""
    machine = record["environment"]
    lines = [
        f"{machine['cpu']}, {', '.join(machine['flags'])}; {record['compiler']}.", "",
        "| model | flags | C, us | over LiteRT, plain form | p10 to p90 | over LiteRT, native form "
        "| before |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for row in record["models"]:
        times = row["times"]
        native = times["litert native"]["ratio"]
        for flags in FLAGS:
            found, old = times[f"c {' '.join(flags)}"], times.get(f"before c {' '.join(flags)}")
            was = f"{old['ratio']:.2f}" if old else "-"
            low, high = found["ratio_p10_p90"]
            lines.append(
                f"| {row['model']} | `{' '.join(flags)}` | {found['cpu_us']:.1f} | {found['ratio']:.2f} | "
                f"{low:.2f} to {high:.2f} | {found['ratio'] / native:.2f} | "
                f"{was} |"
            )
    lines += [
        "",
        "| model | Cortex-M4 | instructions | flash, bytes | RAM, bytes | before |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in record["models"]:
        costs = row["cortex_m4"] if isinstance(row["cortex_m4"], dict) else {}
        for name, found in costs.items():
            if name.startswith("before"):
                continue
            old = costs.get(f"before {name}")
            was = ", ".join(_costs(old)) if old else "-"
            lines.append(f"| {row['model']} | `{name[2:]}` | {' | '.join(_costs(found))} | {was} |")
    return "\n".join(lines) + "\n"


def _costs(found: dict[str, int | None]) -> list[str]:
    return ["not counted" if value is None else f"{value:,}" for value in found.values()]


def main() -> int:
    """Measure, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["lenet5", "custom2"], help="names or .keras files")
    parser.add_argument("--data", default="mnist", help="data set (default mnist)")
    parser.add_argument("--before", type=Path, help="folder with MODEL.c and MODEL.h of an earlier version")
    parser.add_argument("--rounds", type=int, default=101, help="turns of each (default 101)")
    parser.add_argument("--table", action="store_true", help="print the recorded table, measure nothing")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS, help="where the record goes")
    options = parser.parse_args()
    if options.table:
        sys.stdout.write(table(json.loads(options.output.read_text(encoding="utf-8"))))
        return 0
    from mnist_export.core.files import write_atomic
    from mnist_export.data import load_dataset
    from mnist_export.runtime.environment import describe

    dataset = load_dataset(options.data)
    version = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True).stdout
    with tempfile.TemporaryDirectory(prefix="mnist-c-speed-") as folder:
        rows = [
            measure(spec, dataset, options.before, options.rounds, Path(folder)) for spec in options.models
        ]
    record = {
        "environment": describe(threads=1).to_json(), "compiler": version.splitlines()[0],
        "rounds": options.rounds, "models": rows,
    }  # fmt: skip
    write_atomic({options.output: json.dumps(record, indent=1).encode() + b"\n"})
    sys.stdout.write(table(record))
    return 0 if not any(sum(row["logits_differ"].values()) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
