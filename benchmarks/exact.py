"""Exact int8 beside ordinary int8: accuracy, differing integers, size, latency; and what generated C costs.

    python benchmarks/exact.py MODEL... [--data mnist] [--images 10000] [-o benchmarks/results/exact.json]

A MODEL whose input no data set has (such as 32x32x3) is compared on random pixels, for equality alone.
Set MNIST_EXPORT_WEB to a folder where ``npm install onnxruntime-web`` was run to include WebAssembly.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from mnist_export.core.errors import MnistExportError
from mnist_export.core.files import write_atomic
from mnist_export.core.kinds import Precision
from mnist_export.data import Dataset, load_dataset, stratified_sample
from mnist_export.export.c_format import CExporter
from mnist_export.export.onnx_format import OnnxExporter
from mnist_export.export.request import ExportRequest
from mnist_export.export.tflite_format import TfliteExporter
from mnist_export.parity.certificate.certifying import certify
from mnist_export.parity.certificate.equality import equality
from mnist_export.parity.certificate.implementations import IMPLEMENTATIONS
from mnist_export.quantize import QuantizedModel, SchemeConfig, quantize
from mnist_export.quantize.exact import quantize_exact
from mnist_export.quantize.exact.training import fine_tune_exact
from mnist_export.quantize.lowering import lower
from mnist_export.quantize.rewrites import prepare
from mnist_export.runtime.environment import describe
from mnist_export.runtime.runners.c import CRunner
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.runners.ort import OnnxRuntimeRunner
from mnist_export.train.obtaining import load_or_train

SEED = 0
CALIBRATION = 1000
SCHEME = SchemeConfig(precision=Precision.INT8)
RANDOM_IMAGES = 256
ROUNDS, CALLS = 15, 40
SLOW_MACS = 1_000_000
"""Reference kernels take a millisecond for some hundred thousand multiplications."""


def files_of(model: QuantizedModel, name: str) -> dict[str, bytes]:
    request = ExportRequest(name=name, class_names=("0", "1"), source_sha256="0" * 64, stem=name)
    made = TfliteExporter().export(model, request) | OnnxExporter().export(model, request)
    return made | (CExporter().export(model, request) if model.variant.startswith("exact") else {})


def limits(macs: int, images: int) -> dict[str, int]:
    few = max(100, min(images, int(images * SLOW_MACS / max(macs, 1))))
    slow = ("litert reference", "onnx reference", "numpy integers", "onnxruntime-web")
    return dict.fromkeys(slow, few) | {"c99": min(images, 5 * few)}


def compiled_sizes(files: dict[str, bytes]) -> dict[str, Any]:
    """Flash and RAM from the compilers' own figures, in bytes."""
    found: dict[str, Any] = {}
    targets = {
        "cortex-m4 -Os": ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb", "-Os"],
        "x86-64 -O2": ["gcc", "-O2"],
    }
    for name, command in targets.items():
        if shutil.which(command[0]) is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            stem = next(
                line for line in files[".c"].decode().splitlines() if line.startswith("#include")
            ).split('"')[1]
            (place / "net.c").write_bytes(files[".c"])
            (place / stem).write_bytes(files[".h"])
            subprocess.run([*command, "-std=c99", "-c", "net.c", "-o", "net.o"], cwd=place, check=True)
            size = command[0].replace("gcc", "size") if command[0] != "gcc" else "size"
            text, data, bss = (
                subprocess.run([size, "net.o"], cwd=place, check=True, capture_output=True, text=True)
                .stdout.splitlines()[1]
                .split()[:3]
            )
            found[name] = {"flash_bytes": int(text) + int(data), "ram_bytes": int(data) + int(bss)}
    return found


def latencies(entries: dict[str, tuple[Any, Any]]) -> dict[str, float]:
    """Median microseconds of one call of one image, runners in turns in one process."""
    times: dict[str, list[float]] = {name: [] for name in entries}
    for _ in range(ROUNDS):
        for name, (runner, batch) in entries.items():
            for _ in range(CALLS):
                started = time.perf_counter_ns()
                runner.invoke(batch)
                times[name].append((time.perf_counter_ns() - started) / 1e3)
    return {name: round(float(np.median(values)), 2) for name, values in times.items()}


def differing(files: dict[str, bytes], images: Any, macs: int) -> dict[str, int]:
    names = [
        "litert xnnpack",
        "litert builtin",
        "litert reference",
        "onnxruntime all",
        "onnxruntime disabled",
    ]
    found = equality(files, images, names=names, limits=limits(macs, len(images)))
    return {c.name: c.different for c in found.compared} | {f"{c.name} of": c.values for c in found.compared}


def top1(files: dict[str, bytes], dataset: Dataset, count: int) -> float:
    codes = IMPLEMENTATIONS["litert xnnpack"].run(files, dataset.test.images[:count])
    return float((codes.argmax(axis=1) == dataset.test.labels[:count]).mean())


def measure(path: str, dataset: Dataset, count: int, epochs: int) -> dict[str, Any]:
    loaded = load_or_train(path, None if Path(path).exists() else dataset, trust=True, notify=print)
    shape = tuple(loaded.input_shape)
    fits = shape == dataset.image_shape
    graph = lower(loaded.model, shape)
    started = time.perf_counter()
    if fits:
        images = dataset.test.images[:count]
        chosen = stratified_sample(dataset.train, CALIBRATION, SEED)
        calibration, validation = dataset.train.take(chosen).images, dataset.validation
    else:
        rng = np.random.default_rng(SEED)
        images = rng.integers(0, 256, (RANDOM_IMAGES, *shape), dtype=np.uint8)
        calibration, validation = rng.integers(0, 256, (RANDOM_IMAGES, *shape), dtype=np.uint8), None
    exact = quantize_exact(graph, calibration, validation, SCHEME, seed=SEED, notify=print)
    seconds = time.perf_counter() - started
    files = files_of(exact, "exact")
    found = equality(files, images, limits=limits(loaded.macs, len(images)), notify=print)
    result: dict[str, Any] = {
        "model": loaded.name, "macs": loaded.macs, "parameters": loaded.parameters, "images": len(images),
        "pixels": "real" if fits else "random", "quantize_s": round(seconds, 1), "equality": found.to_json(),
        "certificates": {e: certify(files[e]).text for e in (".tflite", ".onnx")},
        "shifts": sorted({s for layer in certify(files[".tflite"]).layers for s in layer.shifts}),
        "c": compiled_sizes(files),
    }  # fmt: skip
    random = np.random.default_rng(1).integers(0, 256, (200, *shape), dtype=np.uint8)
    result["random_pixels"] = equality(
        files, random, limits=dict.fromkeys(("onnx reference", "litert reference"), 100)
    ).text
    ordinary = quantize(prepare(graph)[0], SCHEME, calibration[:300])
    plain = files_of(ordinary, "ordinary")
    result["ordinary"] = {
        "differing": differing(plain, images, loaded.macs),
        "tflite_bytes": len(plain[".tflite"]),
        "onnx_bytes": len(plain[".onnx"]),
    }
    result["exact"] = {
        "differing": differing(files, images, loaded.macs),
        "tflite_bytes": len(files[".tflite"]),
        "onnx_bytes": len(files[".onnx"]),
    }
    if fits:
        floats = loaded.model.predict(images.astype(np.float32) / np.float32(255), batch_size=256, verbose=0)
        labels = dataset.test.labels[:count]
        result["float_top1"] = float((floats.argmax(axis=1) == labels).mean())
        for name, those in (("exact", files), ("ordinary", plain)):
            codes = IMPLEMENTATIONS["litert xnnpack"].run(those, images)
            right = codes.argmax(axis=1)
            result[name]["top1"] = float((right == labels).mean())
            result[name]["agreement"] = float((right == floats.argmax(axis=1)).mean())
            result[name]["drop_pp"] = round(100 * (result["float_top1"] - result[name]["top1"]), 3)
        if epochs:
            trained = fine_tune_exact(exact, dataset, epochs=epochs, seed=SEED, notify=print)
            own = files_of(trained, "trained")
            result["trained"] = {
                "epochs": epochs, "top1": top1(own, dataset, count),
                "drop_pp": round(100 * (result["float_top1"] - top1(own, dataset, count)), 3),
                "differing": differing(own, images, loaded.macs), "certificate": certify(own[".onnx"]).text,
            }  # fmt: skip
    result["latency_us"] = timed(plain, files, images)
    return result


def timed(plain: dict[str, bytes], files: dict[str, bytes], images: Any) -> dict[str, float]:
    runners: dict[str, Any] = {
        "litert ordinary": LiteRtRunner(plain[".tflite"]), "litert exact": LiteRtRunner(files[".tflite"]),
        "onnxruntime ordinary": OnnxRuntimeRunner(plain[".onnx"]),
        "onnxruntime exact": OnnxRuntimeRunner(files[".onnx"]),
        "c99 exact": CRunner(files[".c"], files[".h"], label="c"),
    }  # fmt: skip
    return latencies({n: (r, r.prepare(images[:1])) for n, r in runners.items()})


def refreshed(path: str, dataset: Dataset, before: dict[str, Any]) -> dict[str, Any]:
    """Times and sizes alone; scales are those of least square error, which change neither."""
    loaded = load_or_train(path, None if Path(path).exists() else dataset, trust=True, notify=print)
    graph = lower(loaded.model, tuple(loaded.input_shape))
    images = dataset.train.images[:300]
    if tuple(loaded.input_shape) != dataset.image_shape:
        images = np.random.default_rng(SEED).integers(0, 256, (64, *loaded.input_shape), dtype=np.uint8)
    files = files_of(quantize_exact(graph, images, None, SCHEME, seed=SEED), "exact")
    plain = files_of(quantize(prepare(graph)[0], SCHEME, images), "ordinary")
    found = before["models"].get(loaded.name, {"model": loaded.name})
    return found | {"c": compiled_sizes(files), "latency_us": timed(plain, files, images)}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=0, help="train on for so many epochs too")
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/exact.json"))
    parser.add_argument("--only-latency", action="store_true", help="measure times and sizes again")
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.data, notify=print)
    kept: dict[str, Any] = (
        json.loads(arguments.output.read_text()) if arguments.output.exists() else {"models": {}}
    )
    failed = 0
    for path in arguments.models:
        try:
            if arguments.only_latency:
                found = refreshed(path, dataset, kept)
            else:
                found = measure(path, dataset, arguments.images, arguments.epochs)
        except MnistExportError as error:
            print(error, file=sys.stderr)
            failed += 1
            continue
        kept["models"][found["model"]] = found
        kept["environment"] = describe(threads=1).to_json()
        kept["data"] = dataset.name
        write_atomic({arguments.output: (json.dumps(kept, indent=1, sort_keys=True) + "\n").encode()})
        print(json.dumps({k: v for k, v in found.items() if k not in {"equality", "c"}}, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
