"""How fast the int8 files are, as ratios to float and to TFLiteConverter's own int8, in one process.

    python benchmarks/speed.py                              lenet5 and custom2, batches of 1 and 256
    python benchmarks/speed.py --models net.keras           your own model
    python benchmarks/speed.py --rounds 41                  longer

Writes benchmarks/results/speed.json and prints the tables of docs/performance.md. Every runtime has one
thread and they take turns of some milliseconds; a ratio is the median over the rounds of the quotient of
two neighbours. Times are the calling thread's processor time, which other processes on the machine do
not add to; wall time's percentiles stand beside them in the JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "speed.json"
TURN_NS = 4_000_000
GOALS = {
    "lenet5": {("onnx", 1): 0.90, ("onnx", 256): 0.50, ("tflite", 1): 0.70, ("tflite", 256): 0.50},
    "custom2": {("onnx", 1): 0.35, ("onnx", 256): 0.30, ("tflite", 1): 0.85, ("tflite", 256): 0.85},
}


@dataclass(frozen=True, kw_only=True)
class Form:
    """One file that is timed.

    Attributes:
        name: how the tables call it.
        format: tflite or onnx.
        content: its bytes.
        integers: whether it takes pixels instead of real values.
    """

    name: str
    format: str
    content: bytes
    integers: bool = True


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one file at one batch size; times in microseconds of one invocation."""

    model: str
    name: str
    format: str
    batch: int
    size_bytes: int
    cpu_us: float
    ratio: float
    ratio_interval: tuple[float, float]
    over: str
    wall_us: Mapping[str, float]


def forms_of(spec: str, dataset: Any) -> tuple[str, list[Form], dict[str, Any]]:
    """Every form of one model: float, TFLiteConverter's int8, and this project's, plain and rewritten."""
    from mnist_export.core.graph.tflite_writer import write_tflite
    from mnist_export.core.kinds import Format, IoType
    from mnist_export.data import stratified_sample
    from mnist_export.export.onnx_writer import write_onnx
    from mnist_export.export.rewriting import rewritten
    from mnist_export.quantize import SchemeConfig, quantize
    from mnist_export.quantize.lowering import lower
    from mnist_export.quantize.rewrites import Target, prepare
    from mnist_export.train.obtaining import load_or_train

    loaded = load_or_train(spec, dataset)
    graph = lower(loaded.model, tuple(loaded.input_shape))
    images = dataset.train.images[stratified_sample(dataset.train, 300, 0)]
    prepared, before = prepare(graph)
    plain, ours = (quantize(g, SchemeConfig(), images) for g in (graph, prepared))
    fast = {f: rewritten(ours, f, Target.NATIVE) for f in (Format.TFLITE, Format.ONNX)}
    forms = [
        Form(name="float", format="onnx", content=write_onnx(graph, io=IoType.FLOAT32), integers=False),
        Form(
            name="float, prepared", format="onnx",
            content=write_onnx(prepared, io=IoType.FLOAT32), integers=False,
        ),
        Form(name="int8, no rewrites", format="onnx", content=write_onnx(plain.graph, io=IoType.UINT8)),
        Form(name="int8, portable", format="onnx", content=write_onnx(ours.graph, io=IoType.UINT8)),
        Form(
            name="int8, rewritten", format="onnx",
            content=write_onnx(fast[Format.ONNX].model.graph, io=IoType.UINT8, channels_last=True),
        ),
        Form(name="TFLiteConverter int8", format="tflite", content=converted(loaded.model, images)),
        Form(name="float", format="tflite", content=write_tflite(graph), integers=False),
        Form(name="int8, no rewrites", format="tflite", content=write_tflite(plain.graph)),
        Form(name="int8, portable", format="tflite", content=write_tflite(ours.graph)),
        Form(name="int8, rewritten", format="tflite", content=write_tflite(fast[Format.TFLITE].model.graph)),
    ]  # fmt: skip
    done = [a.sentence() for a in before] + [s for f in fast.values() for s in f.sentences()]
    return loaded.name, forms, {"rewrites": done}


def converted(model: Any, images: np.ndarray) -> bytes:
    """TFLiteConverter's own int8 of a Keras model, as its documentation has it."""
    import tensorflow as tf

    def batches() -> Any:
        for image in images:
            yield [image[None].astype(np.float32) / 255]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = batches
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    content: bytes = converter.convert()
    return content


def open_form(form: Form) -> Any:
    """A runner with one thread."""
    from mnist_export.runtime.runners.litert import LiteRtRunner
    from mnist_export.runtime.runners.ort import OnnxRuntimeRunner

    runner = LiteRtRunner if form.format == "tflite" else OnnxRuntimeRunner
    return runner(form.content, label=form.name, threads=1)


def turns(calls: Sequence[Callable[[], Any]], rounds: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Time calls in turns.

    Returns:
        Median processor time of each turn in nanoseconds, shape (calls, rounds), and all wall times by call.
    """
    counts = []
    for call in calls:
        for _ in range(3):
            call()
        start = time.perf_counter_ns()
        call()
        counts.append(max(3, min(2000, TURN_NS // max(1, time.perf_counter_ns() - start))))
    medians = np.zeros((len(calls), rounds))
    walls: list[list[int]] = [[] for _ in calls]
    rng = np.random.default_rng(0)
    for turn in range(rounds):
        for number in rng.permutation(len(calls)):  # no form always follows the same other
            busy = []
            calls[number]()  # the caches are its own again
            for _ in range(counts[number]):
                wall, start = time.perf_counter_ns(), time.thread_time_ns()
                calls[number]()
                busy.append(time.thread_time_ns() - start)
                walls[number].append(time.perf_counter_ns() - wall)
            medians[number, turn] = np.median(busy)
    return medians, [np.array(w) for w in walls]


def measure(model: str, forms: Sequence[Form], images: np.ndarray, rounds: int) -> list[Row]:
    """Time all forms of a model on one batch; ONNX over ONNX float, TFLite over TFLiteConverter's int8."""
    runners = [open_form(form) for form in forms]
    batches = [runner.prepare(images) for runner in runners]
    calls = [lambda r=r, b=b: r.invoke(b) for r, b in zip(runners, batches, strict=True)]
    medians, walls = turns(calls, rounds)
    rows = []
    for number, form in enumerate(forms):
        over = next(i for i, f in enumerate(forms) if f.format == form.format)
        quotients = medians[number] / medians[over]
        draws = np.random.default_rng(0).choice(quotients, (1000, rounds))
        low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
        wall = np.percentile(walls[number] / 1e3, [50, 90, 99])
        rows.append(
            Row(
                model=model, name=form.name, format=form.format, batch=len(images),
                size_bytes=len(form.content), cpu_us=round(float(np.median(medians[number])) / 1e3, 2),
                ratio=round(float(np.median(quotients)), 4), over=forms[over].name,
                ratio_interval=(round(float(low), 4), round(float(high), 4)),
                wall_us=dict(zip(("p50", "p90", "p99"), (round(float(v), 2) for v in wall), strict=True)),
            )
        )  # fmt: skip
    for runner in runners:
        runner.close()
    return rows


def answers(forms: Sequence[Form], dataset: Any) -> list[dict[str, Any]]:
    """Each form's top-1, agreement with the float file, and integers that differ from the plain one's."""
    found, codes = [], {}
    reference: np.ndarray | None = None
    for form in forms:
        runner = open_form(form)
        native = np.concatenate([runner.run_integers(part) for part in batched(dataset.test.images)])
        runner.close()
        labels = native.argmax(axis=1)
        reference = labels if reference is None else reference
        entry: dict[str, Any] = {
            "name": form.name, "format": form.format, "size_bytes": len(form.content),
            "top1": float((labels == dataset.test.labels).mean()),
            "agreement": float((labels == reference).mean()),
        }  # fmt: skip
        if form.integers and form.name != "TFLiteConverter int8":
            signed = native.astype(np.int16) - (128 if native.dtype == np.uint8 else 0)
            kind = "no rewrites" if "no rewrites" in form.name else "prepared"
            codes.setdefault(kind, signed)
            entry["logits"], entry["logits_that_differ"] = signed.size, int((signed != codes[kind]).sum())
        found.append(entry)
    return found


def batched(images: np.ndarray, size: int = 250) -> list[np.ndarray]:
    """Equal parts, so that no interpreter is resized."""
    return [images[i : i + size] for i in range(0, len(images) - len(images) % size, size)]


def table(rows: Sequence[Row], said: Sequence[Mapping[str, Any]], model: str) -> str:
    """One model's figures as Markdown."""
    lines = [
        "| file | bytes | top-1 | agreement | batch 1 us | ratio | batch 256 us an image | ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for entry in said:
        cells = []
        for row in rows:
            if (row.model, row.name, row.format) == (model, entry["name"], entry["format"]):
                goal = GOALS.get(model, {}).get((row.format, row.batch)) if "rewritten" in row.name else None
                mark = f" (goal {goal:.2f})" if goal else ""
                cells += [f"{row.cpu_us / row.batch:.2f}", f"{row.ratio:.3f}{mark}"]
        figures = f"{entry['size_bytes']:,} | {entry['top1']:.4f} | {entry['agreement']:.4f}"
        lines.append(f"| {entry['format']} {entry['name']} | {figures} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["lenet5", "custom2"], help="names or files")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 256])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--data", default="auto")
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    from mnist_export.data import load_dataset
    from mnist_export.runtime.environment import describe

    dataset = load_dataset(options.data)
    rows: list[Row] = []
    models: dict[str, Any] = {}
    for spec in options.models:
        name, forms, about = forms_of(spec, dataset)
        for batch in options.batches:
            rows += measure(name, forms, dataset.test.images[:batch], options.rounds)
        models[name] = about | {"files": answers(forms, dataset)}
        print(f"\n{name}\n{table(rows, models[name]['files'], name)}", flush=True)
    result = {
        "schema_version": 1,
        "clock": "processor time of the calling thread; wall_us is wall time",
        "rounds": options.rounds,
        "data": {"name": dataset.name, "images": len(dataset.test.images)},
        "goals": {m: {f"{f} {b}": g for (f, b), g in goals.items()} for m, goals in GOALS.items()},
        "models": models,
        "rows": [asdict(row) for row in rows],
        "environment": describe(threads=1).to_json() | {"load": os.getloadavg()},
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwrote {options.output}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
