"""Every classifier of keras.applications at its own size, and those that tutorials build, in int8: one table.

    python benchmarks/applications.py                        what is not recorded yet, smallest first
    python benchmarks/applications.py MobileNetV2 ViT        these
    python benchmarks/applications.py --images 1000          with as many training and as many test images
    python benchmarks/applications.py --table                only the table, from what is recorded

Each network has random weights; its normalizations have seen images, and its last layer is fitted to them by
least squares, so that its answers have margins as a trained network's do. It is then exported by the
command, ``mnist-export --format tflite,onnx --int8``, in a process of its own, whose time and peak memory
are recorded. ``float error`` is the largest difference between Keras's logits and those of the float32
.tflite and .onnx files, over the largest logit. Recorded after every network in
benchmarks/results/applications.json; the table is docs/applications.md. A network that cannot be exported
stands there with the message.
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
from measured import Run, measured
from tutorials import TUTORIALS

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "applications.json"
PAGE = HERE.parent / "docs" / "applications.md"
CLASSES, IMAGES, SEED = 10, 200, 0
HEADER = (
    "network", "input", "images", "both files", "float error", "original's top-1", "agreement",
    "TFLiteConverter's", "share in float", "peak memory", "seconds",
)  # fmt: skip
NOISE = 0.02
"""Of the features' root mean square: the last layer is fitted to bear so much noise, as trained ones are."""
LIMIT_BYTES = 20 * 2**30
MIN_AGREEMENT = 0.99
"""Under it TFLiteConverter's own int8 is measured as well."""
COMPARED = 4
"""Images on which the float files are compared with Keras."""

INTRODUCTION = """# People's networks in int8

Classifiers of keras.applications at their own sizes, and those that tutorials build. Weights are random, normalizations
have seen images, the last layer is fitted to them. Each row is one run of `mnist-export --format tflite,onnx --int8` in a
process of its own, with as many training as test images.

`float error` is the largest difference between Keras's logits and the float32 files', over the largest logit; `agreement`
the smaller of the two int8 files'; where it is under 99 %, `TFLiteConverter's` is that of its own int8 of the same network,
calibrated on the same images. Random weights raise any noise from layer to layer: where the original is right on few test
images its answers have no margins, and the row tells that the network goes through, not how int8 agrees with trained weights.
`share in float` is of multiply-adds. Seconds are wall time on two cores that did other work beside it. Made by
`python benchmarks/applications.py`; the numbers behind it are in `benchmarks/results/applications.json`. Rows were recorded one after another, at successive revisions of the code. With 1,000 + 1,000
images EfficientNetV2B0 took 1.63 GiB, where 100 + 100 took 1.30.
"""  # noqa: E501 - a page's paragraphs

# Smallest first: by multiply-adds at their own sizes.
APPLICATIONS = (
    "MobileNetV3Small", "MobileNetV3Large", "MobileNetV2", "EfficientNetB0", "MobileNet",
    "NASNetMobile", "EfficientNetV2B0", "EfficientNetB1", "EfficientNetB2", "EfficientNetV2B1",
    "EfficientNetV2B2", "EfficientNetB3", "DenseNet121", "EfficientNetV2B3", "DenseNet169",
    "ResNet50V2", "ResNet50", "DenseNet201", "EfficientNetB4", "ConvNeXtTiny", "InceptionV3",
    "ResNet101V2", "ResNet101", "ConvNeXtSmall", "EfficientNetV2S", "Xception", "EfficientNetB5",
    "ResNet152V2", "ResNet152", "InceptionResNetV2", "VGG16", "ConvNeXtBase", "EfficientNetB6", "VGG19",
    "NASNetLarge", "EfficientNetV2M", "EfficientNetB7", "ConvNeXtLarge", "EfficientNetV2L",
    "ConvNeXtXLarge",
)  # fmt: skip
RAW_PIXELS = ("EfficientNet", "MobileNetV3", "ConvNeXt")
"""Networks that scale pixels themselves; the others take -1 to 1."""


def span(name: str) -> str:
    """What --input-range a network takes."""
    return "0,255" if name in TUTORIALS or name.startswith(RAW_PIXELS) else "-1,1"


def pictures(count: int, shape: tuple[int, ...], seed: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]:
    """Noise of coarse blocks over one pattern a class, and the classes."""
    patterns = np.random.default_rng(SEED).integers(0, 256, (CLASSES, 8, 8, shape[2]))
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % CLASSES
    coarse = (3 * patterns[labels] + rng.integers(0, 256, (count, 8, 8, shape[2]))) // 4
    rows, columns = (np.arange(size) * 8 // size for size in shape[:2])
    fine = coarse[:, rows][:, :, columns].astype(np.int16)
    for place in range(count):  # one at a time: noise for 1,000 large pictures would be gigabytes
        fine[place] += rng.integers(-16, 17, fine.shape[1:], dtype=np.int16)
    return np.clip(fine, 0, 255).astype(np.uint8), labels


def network(name: str) -> Any:
    """The network with random weights."""
    import keras

    keras.utils.set_random_seed(SEED)
    if name in TUTORIALS:
        return TUTORIALS[name]()
    sized = {"input_shape": (224, 224, 3)} if name.startswith("MobileNetV3") else {}  # these state none
    return getattr(keras.applications, name)(weights=None, classes=CLASSES, **sized)


def settle(model: Any, images: npt.NDArray[np.float32], labels: npt.NDArray[Any]) -> None:
    """Give normalizations the images' statistics, and fit the last layer to the labels."""
    import keras
    import tensorflow as tf

    step = max(1, min(20, 60 * 224 * 224 // (images[0].size * 2)))
    normal = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    for layer in normal:
        layer.momentum = 0.0  # the statistics are those of the one batch, without a rest of 0 and 1
    if normal:
        tf.function(lambda x: model(x, training=True))(tf.constant(images[:step]))
    head = next(x for x in reversed(model.layers) if getattr(x, "kernel", None) is not None)
    cut = keras.Model(model.inputs, head.input)
    features = tf.function(lambda x: cut(x, training=False))
    rows = [
        np.asarray(features(tf.constant(images[start : start + step]))).reshape(-1, head.kernel.shape[-2])
        for start in range(0, len(images), step)
    ]
    x = np.concatenate(rows).astype(np.float64)
    mean, wanted = x.mean(axis=0), 10.0 * np.eye(CLASSES)[labels] - 1.0
    centred = x - mean
    inner = centred @ centred.T
    inner += len(x) * NOISE**2 * np.square(x).mean() * np.eye(len(inner))  # as noise in the features would
    kernel = centred.T @ np.linalg.solve(inner, wanted - wanted.mean(axis=0))
    values = [kernel.reshape(head.kernel.shape)]
    if head.bias is not None:
        values.append(wanted.mean(axis=0) - mean @ kernel)
    head.set_weights(values)


def build(name: str, folder: Path, count: int) -> dict[str, Any]:
    """Write the network and its data, and compare its float files with Keras; in a process of its own."""
    import keras

    from mnist_export.core.graph.tflite_writer import write_tflite
    from mnist_export.core.kinds import IoType
    from mnist_export.core.pixels import InputRange
    from mnist_export.export.onnx_writer import write_onnx
    from mnist_export.models.loading import load_model
    from mnist_export.quantize.lowering import lower
    from mnist_export.runtime.runners.keras import KerasRunner
    from mnist_export.runtime.runners.litert import LiteRtRunner
    from mnist_export.runtime.runners.ort import OnnxRuntimeRunner

    model = network(name)
    shape = tuple(model.input_shape[1:])
    pixels = InputRange.parse(span(name))
    train, labels = pictures(count, shape, 1)
    test, wanted = pictures(count, shape, 2)
    few = slice(0, min(count, 100))
    settle(model, pixels.to_real(train[few]), labels[few])
    model.save(folder / "net.keras")
    np.savez(folder / "data.npz", x_train=train, y_train=labels, x_test=test, y_test=wanted)
    row = {"parameters": int(model.count_params()), "input": list(shape)}
    del train, model
    keras.utils.clear_session()
    loaded = load_model(str(folder / "net.keras"))
    some = test[:COMPARED]
    reference = KerasRunner.of(loaded, input_range=pixels).run(some, batch_size=1)
    graph = lower(loaded.model, tuple(loaded.input_shape))
    errors = {}
    for kind, runner, content in (
        ("tflite", LiteRtRunner, lambda: write_tflite(graph)),
        ("onnx", OnnxRuntimeRunner, lambda: write_onnx(graph, io=IoType.FLOAT32)),
    ):
        try:
            with runner(content(), input_range=pixels) as opened:
                found = np.abs(opened.run(some, batch_size=1) - reference).max()
            errors[kind] = float(found / max(1.0, float(np.abs(reference).max())))
        except Exception as error:  # noqa: BLE001 - whatever it is, it stands in the table
            errors[kind] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return {**row, "float_error": errors}


def float_share(path: Path) -> float:
    """Share of a .tflite file's multiply-adds that are computed in float32, a fraction of 1."""
    from mnist_export.core.graph.tflite_reader import read_tflite

    graph = read_tflite(path.read_bytes())
    total = floats = 0
    for op in graph.ops:
        out = graph.tensors[op.outputs[0]]
        places = int(np.prod([max(size, 1) for size in out.shape]))
        if op.kind in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}:
            weights = graph.tensors[op.inputs[1]]
            each = int(np.prod(weights.shape)) // max(1, weights.shape[3 if op.kind[0] == "D" else 0])
        elif op.kind == "BATCH_MATMUL":
            each = graph.tensors[op.inputs[0]].shape[-1]
        else:
            continue
        total += places * each
        floats += places * each if out.dtype == np.float32 else 0
    return floats / total if total else 0.0


def export(name: str, folder: Path, timeout_s: float) -> tuple[Run, dict[str, Any]]:
    """Run the command as a user does, and sum up its report."""
    words = ["-m", "mnist_export.cli.export", str(folder / "net.keras"), "--data", str(folder / "data.npz")]
    words += [f"--input-range={span(name)}", "--format", "tflite,onnx", "--int8", "-o", str(folder / "out")]
    run = measured([*words, "--json"], timeout_s=timeout_s, limit_bytes=LIMIT_BYTES)
    row: dict[str, Any] = {
        "seconds": round(run.wall_s, 1),
        "cpu_seconds": round(run.cpu_s, 1),
        "peak_bytes": run.peak_bytes,
        "exit_code": run.code,
    }
    if run.code not in (0, 1):
        return run, {**row, "message": run.message()}
    report = json.loads(run.output)
    (written,) = (folder / "out").glob("*.tflite")
    return run, {
        **row,
        "verdict": report["verdict"],
        "top1": report["reference"]["top1"],
        "files": {
            item["format"]: {key: item[key] for key in ("size_bytes", "agreement", "top1")}
            for item in report["artifacts"]
        },
        "differing_logits": [pair["differing"] for pair in report.get("pairs", [])],
        "float_share": float_share(written),
        "stages_s": {key: round(value, 1) for key, value in report["timings_s"].items()},
        "versions": report["environment"]["versions"],
        "cpu": report["environment"]["cpu"],
    }


def peer(name: str, folder: Path, timeout_s: float) -> dict[str, Any]:
    """How TFLiteConverter's own int8 of the same network agrees, calibrated on the same images."""
    from mnist_export.core.pixels import InputRange

    pixels = InputRange.parse(span(name))
    with np.load(folder / "data.npz") as data:
        train, test = data["x_train"], data["x_test"]
    np.save(folder / "calibration.npy", pixels.to_real(train[: min(len(train), 200)]))
    words = [str(HERE / "peer" / "tflite_converter.py"), str(folder / "net.keras")]
    run = measured(
        [*words, str(folder / "calibration.npy"), str(folder)], timeout_s=timeout_s, limit_bytes=LIMIT_BYTES
    )
    if run.code:
        return {"message": run.message()}
    exact, found = (answers(folder / file, pixels.to_real(test)) for file in ("float.tflite", "int8.tflite"))
    return {"agreement": float((exact.argmax(axis=1) == found.argmax(axis=1)).mean())}


def answers(path: Path, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A .tflite file's answers in real units, one image after another."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for image in images:
        given = image[None]
        if entry["dtype"] == np.int8:
            scale, zero_point = entry["quantization"]
            given = np.clip(np.rint(given / scale) + zero_point, -128, 127).astype(np.int8)
        interpreter.set_tensor(entry["index"], given)
        interpreter.invoke()
        row = interpreter.get_tensor(result["index"]).astype(np.float32).ravel()
        if result["dtype"] == np.int8:
            row = (row - result["quantization"][1]) * np.float32(result["quantization"][0])
        rows.append(row)
    return np.stack(rows)


def measure(name: str, count: int, timeout_s: float) -> dict[str, Any]:
    """Build, export, and record one network."""
    with tempfile.TemporaryDirectory(prefix="mnist-export-applications-") as temporary:
        folder = Path(temporary)
        made = measured(
            [__file__, "--build", name, "--folder", temporary, "--images", str(count)],
            timeout_s=timeout_s,
            limit_bytes=LIMIT_BYTES,
        )
        row: dict[str, Any] = {"images": count}
        if made.code == 0:
            row |= json.loads(made.output.splitlines()[-1])
        elif not (folder / "data.npz").exists():
            return {**row, "message": f"building: {made.message()}"}
        else:
            row["float_error"] = {"both": made.message()}
        row |= export(name, folder, timeout_s)[1]
        if "message" not in row and least_agreement(row) < MIN_AGREEMENT:
            row["peer"] = peer(name, folder, timeout_s)
        return row


def least_agreement(row: dict[str, Any]) -> float:
    """The smaller of the two files', a fraction of 1."""
    return min(float(item["agreement"]) for item in row["files"].values())


def table(rows: dict[str, Any]) -> str:
    """The Markdown table of what was recorded."""
    lines = [
        f"| {' | '.join(HEADER)} |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in (*APPLICATIONS, *TUTORIALS):
        if name in rows:
            lines.append(f"| {' | '.join(_cells(name, rows[name]))} |")
    return "\n".join(lines)


def _cells(name: str, row: dict[str, Any]) -> tuple[str, ...]:
    shape = "x".join(map(str, row["input"][:2])) if "input" in row else ""
    errors = row.get("float_error", {}).values()
    numbers = [value for value in errors if isinstance(value, float)]
    error = f"{max(numbers):.1e}" if numbers and len(numbers) == len(errors) else "no"
    first = (name, shape, f"{row['images']:,}")
    peak = f"{row['peak_bytes'] / 2**30:.2f} GiB" if "peak_bytes" in row else ""
    seconds = f"{row['seconds']:,.0f}" if "seconds" in row else ""
    if "message" in row:
        return (*first, row["message"].replace("|", "\\|")[:200], error, "", "", "", "", peak, seconds)
    other = row.get("peer", {})
    theirs = f"{other['agreement']:.1%}" if "agreement" in other else other.get("message", "")[:100]
    differing = sum(row["differing_logits"])
    both = "yes" if not differing else f"yes, {differing:,} logits differ"
    share = f"{row['float_share']:.1%}"
    right, agreement = f"{row['top1']:.1%}", f"{least_agreement(row):.1%}"
    return (*first, both, error, right, agreement, theirs, share, peak, seconds)


def recorded() -> dict[str, Any]:
    """What was measured so far: name to row."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return found


def write_page(rows: dict[str, Any]) -> None:
    """Write the page of the documentation."""
    from mnist_export.core.files import write_atomic_one

    done = [row for row in rows.values() if "message" not in row]
    counted = f"{len(done)} of {len(rows)} networks give both files."
    write_atomic_one(PAGE, f"{INTRODUCTION}\n{counted}\n\n{table(rows)}\n".encode())


def main() -> int:
    """Measure what is missing, record, write the table."""
    from mnist_export.core.files import write_atomic_one

    known = (*APPLICATIONS, *TUTORIALS)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all of them")
    parser.add_argument("--images", type=int, default=IMAGES, help="training images, and test images (200)")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds that one process may take")
    parser.add_argument("--again", action="store_true", help="measure again what is recorded")
    parser.add_argument("--table", action="store_true", help="only write the table from what is recorded")
    parser.add_argument("--build", metavar="NAME", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.build:
        print(json.dumps(build(options.build, options.folder, options.images)))
        return 0
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no such network: {', '.join(unknown)}. They are {', '.join(known)}.")
    rows = recorded()
    if not options.table:
        for name in options.names or (*TUTORIALS, *APPLICATIONS):
            before = rows.get(name, {"message": "", "images": 0})
            if "message" not in before and before["images"] >= options.images and not options.again:
                continue
            rows[name] = measure(name, options.images, options.timeout)
            said = rows[name].get("message") or f"agreement {_cells(name, rows[name])[6]}"
            print(f"{name}: {said}, {_cells(name, rows[name])[9]}", file=sys.stderr, flush=True)
            rows = {**recorded(), name: rows[name]}  # another one may have recorded something meanwhile
            write_atomic_one(RESULTS, (json.dumps(rows, indent=1, sort_keys=True) + "\n").encode())
    write_page(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
