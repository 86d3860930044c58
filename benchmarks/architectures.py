"""int8 of well-known architectures: do LiteRT and ONNX Runtime give the same logits?

    python benchmarks/architectures.py [NAME...] [--data mnist]
    python benchmarks/architectures.py --table

The networks are keras.applications', 32x32 pixels in three channels, with random weights and normalization
statistics of the training images: equality does not depend on what was learned. Each is one run of
``mnist-export --format tflite,onnx --int8``. ``--table`` writes the table of docs/quantize.md from
benchmarks/results/architectures.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.cli.export import build_parser
from mnist_export.core.errors import MnistExportError
from mnist_export.core.files import write_atomic_one
from mnist_export.data import Dataset, load_dataset
from mnist_export.pipeline.export import run_job
from mnist_export.pipeline.jobs.progress import SILENT
from mnist_export.pipeline.request import job_of

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "architectures.json"
PAGE = HERE.parent / "docs" / "quantize.md"
START, END = "<!-- architectures: benchmarks/architectures.py -->", "<!-- end of architectures -->"
SIZE, TRAINING, TEST, SEED = 32, 1_000, 1_000, 0

NETWORKS: dict[str, dict[str, Any]] = {
    "MobileNet": {"alpha": 0.25},
    "MobileNetV2": {"alpha": 0.35},
    "MobileNetV3Small": {"include_preprocessing": False},
    "MobileNetV3Large": {"include_preprocessing": False, "alpha": 0.75},
    "EfficientNetB0": {},
    "EfficientNetV2B0": {"include_preprocessing": False},
    "ResNet50V2": {},
    "DenseNet121": {},
    "NASNetMobile": {},
}
"""Name in keras.applications to its settings."""

IN_RAW_PIXELS = {"EfficientNetB0"}


def images_of(dataset: Dataset, part: str, count: int) -> npt.NDArray[np.uint8]:
    """28x28 digits as 32x32 pixels of three different channels: shape (count, 32, 32, 3)."""
    plain = getattr(dataset, part).images[:count, :, :, 0]
    room = SIZE - plain.shape[1]
    framed = np.pad(plain, ((0, 0), (room // 2, room - room // 2), (room // 2, room - room // 2)))
    return np.stack([framed, framed // 2, 255 - framed], axis=-1)


def network(name: str, images: npt.NDArray[np.uint8]) -> Any:
    """A network of random weights whose normalizations have seen images."""
    import keras

    keras.utils.set_random_seed(SEED)
    make = getattr(keras.applications, name)
    model = make(
        weights=None,
        input_shape=(SIZE, SIZE, 3),
        classes=10,
        classifier_activation=None,
        **NETWORKS[name],
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5
    scale = 1 if name in IN_RAW_PIXELS else 255
    for start in range(0, len(images), 100):
        model(images[start : start + 100].astype(np.float32) / scale, training=True)
    return model


def measure(name: str, dataset: Dataset) -> dict[str, Any]:
    """Build, export and compare one network."""
    training, test = images_of(dataset, "train", TRAINING), images_of(dataset, "test", TEST)
    with tempfile.TemporaryDirectory() as folder:
        path, data = Path(folder, f"{name}.keras"), Path(folder, "images.npz")
        network(name, training[:500]).save(path)
        labels = {"y_train": dataset.train.labels[:TRAINING], "y_test": dataset.test.labels[:TEST]}
        np.savez(data, x_train=training, x_test=test, **labels)
        span = "0,255" if name in IN_RAW_PIXELS else "0,1"
        words = ["-m", str(path), "--data", str(data), "--int8", "--input-range", span, "-o", folder, "-q"]
        words += ["--format", "tflite,onnx"]
        report = run_job(job_of(build_parser().parse_args(words), ""), SILENT)
    (pair,) = report.pairs
    return {
        "parameters": report.model.parameters,
        "macs": report.model.macs,
        "logits": pair.logits,
        "differing": pair.differing,
        "max_steps": pair.max_steps,
        "sqnr_db": report.artifacts[0].logits.sqnr_db,
        "lower_and_quantize_s": report.timings_s["lower"] + report.timings_s["quantize"],
        "cpu": report.environment.cpu,
        "versions": report.environment.versions,
    }


def table(results: dict[str, Any]) -> str:
    """The Markdown table of what was recorded."""
    lines = [
        "| network | parameters | differing logits | largest difference |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name in NETWORKS:
        if name in results:
            row = results[name]
            steps = f"{row['max_steps']} steps" if row["differing"] else "none"
            lines.append(
                f"| {name} | {row['parameters']:,} | {row['differing']:,} of {row['logits']:,} | {steps} |"
            )
    return "\n".join(lines)


def write_table(results: dict[str, Any]) -> None:
    """Put the table into the documentation."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    write_atomic_one(PAGE, f"{before}{START}\n\n{table(results)}\n\n{END}{after}".encode())


def main() -> int:
    """Measure and record; 2 where something is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NETWORKS)}; all of them")
    parser.add_argument("--data", default="mnist", help="mnist, fashion-mnist or digits (default: mnist)")
    parser.add_argument("--table", action="store_true", help="write the table from what is recorded")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    if unknown := [name for name in arguments.names if name not in NETWORKS]:
        parser.error(f"no such network: {', '.join(unknown)}. They are {', '.join(NETWORKS)}.")
    try:
        if not arguments.table:
            dataset = load_dataset(arguments.data)
            for name in arguments.names or NETWORKS:
                results[name] = {"data": arguments.data, **measure(name, dataset)}
                row = results[name]
                print(f"{name}: {row['differing']} of {row['logits']}, {row['sqnr_db']:.1f} dB", flush=True)
                write_atomic_one(RESULTS, (json.dumps(results, indent=1, sort_keys=True) + "\n").encode())
        write_table(results)
    except MnistExportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
