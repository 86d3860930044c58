"""A static page that reads a drawn digit, or a picture, with the very file that was exported."""

from __future__ import annotations

import base64
import importlib.resources
import json
import string
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.files import output_folder, write_atomic

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.runtime.runners.runner import Runner

GOLDEN_IMAGES: Final = 32
_RUNTIME: Final = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_RUNTIME_FOLDER: Final = "onnxruntime-web/dist"


@dataclass(frozen=True, kw_only=True)
class DrawingPage:
    """What was written.

    Attributes:
        index: the page.
        images: test images whose integers it checks at load.
        size_bytes: of the whole folder, most of it the runtime.
    """

    index: Path
    images: int
    size_bytes: int


def write_drawing_page(path: Path, dataset: Dataset, folder: Path, *, trust: bool = False) -> DrawingPage:
    """Write a folder that a browser shows: page, file, golden integers, runtime.

    The golden integers are what ONNX Runtime gives on this machine for the first test images; the page
    compares its own with them at load. It asks nothing of any other host.

    Args:
        path: an integer .onnx of this product, or of others that takes pixels and has a scale of its logits.
        dataset: its test images, and the names of its classes.
        folder: where the page goes; made where it is not there.
        trust: open the file without a trial run first.

    Raises:
        UnsupportedError: another format, or inputs and outputs that are no 8-bit integers.
        InputError: onnxruntime-web was not fetched, or the data do not fit the file.
        OutputError: the folder cannot be written.
    """
    from mnist_export.core.files import sha256_bytes
    from mnist_export.runtime.runners.opening import open_runner

    if path.suffix != ".onnx":
        raise UnsupportedError(
            f"{path.name}: expected an .onnx, which onnxruntime-web runs in a page as it is, found "
            f"'{path.suffix}'. Export it with `formats=\"onnx\"`."
        )
    runtime = _runtime_files()
    with output_folder(folder), open_runner(path, trust=trust) as runner:
        about = page_facts(runner, dataset)
        content = path.read_bytes()
        about["sha256"] = sha256_bytes(content)
        files = {
            **{folder / "runtime" / name: data for name, data in runtime.items()},
            folder / "model.onnx": content,
            folder / "page.css": _resource("draw.css").encode(),
            folder / "page.js": _resource("draw.js").encode(),
            folder / "page.json": (json.dumps(about, indent=1) + "\n").encode(),
            folder / "index.html": _index(path, about).encode(),
        }
        write_atomic(files)
    return DrawingPage(
        index=folder / "index.html",
        images=about["golden"]["count"],
        size_bytes=sum(len(data) for data in files.values()),
    )


def require_page(job: Job) -> None:
    """Refuse, before any work, a job that no page can be made of.

    Raises:
        UnsupportedError: no .onnx, or no int8.
        InputError: onnxruntime-web was not fetched.
    """
    if "onnx" not in job.formats or job.scheme.precision != "int8":
        raise UnsupportedError(
            f"`page`: expected an int8 .onnx, which onnxruntime-web runs in a page as it is, found "
            f'{job.scheme.precision} {" and ".join(job.formats)}. Export with `formats="tflite,onnx"` and '
            "`int8=True`."
        )
    _runtime_files()


def page_facts(runner: Runner, dataset: Dataset) -> dict[str, Any]:
    """What the page has to know of a file: types, layout, classes, golden answers.

    Files of integers take and give 8-bit integers, or float32 at their ends (``--io float32``), which are
    integers times a scale: both are compared bit for bit.

    Args:
        runner: the opened file.
        dataset: its test images.

    Raises:
        UnsupportedError: a file of floats, or more channels than a picture has.
    """
    from mnist_export.core.pixels import InputRange

    images = dataset.test.images[:GOLDEN_IMAGES]
    batch = runner.prepare(images)
    quant, dtypes = runner.output.quant, {str(batch.dtype), str(runner.output.dtype)}
    precision = runner.metadata.precision if runner.metadata is not None else None
    floats = dtypes == {"float32"} and precision == "int8" and isinstance(runner.input_range, InputRange)
    if not floats and (quant is None or not dtypes <= {"int8", "uint8"}):
        raise UnsupportedError(
            f"{runner.label}: expected a file of 8-bit integers, found {' and '.join(sorted(dtypes))} in "
            f"{precision or 'a foreign file'}. The page compares answers bit by bit; export with `int8=True`."
        )
    height, width, channels = images.shape[1:]
    if channels not in {1, 3}:
        raise UnsupportedError(f"{runner.label}: expected pictures of 1 or 3 channels, found {channels}.")
    answers = runner.run(images) if quant is None else runner.run_integers(images)
    shape = [1, *batch.shape[1:]]
    planes = channels == 3 and len(shape) == 4 and shape[1] == 3 and shape[3] != 3
    names = dataset.class_names
    return {
        "schema_version": 1,
        "input": {
            "dtype": str(batch.dtype),
            "shape": shape,
            "height": height,
            "width": width,
            "channels": channels,
            "planes": planes,
            **_pixel_rule(runner, batch.dtype),
            "drawable": channels == 1,
        },
        "output": {
            "dtype": str(runner.output.dtype),
            "scale": 1.0 if quant is None else float(np.ravel(quant.scale)[0]),
            "zero_point": 0 if quant is None else int(np.ravel(quant.zero_point)[0]),
        },
        "classes": [str(name) for name in names],
        "golden": {
            "count": len(images),
            "runtime": _runtime_words(),
            "inputs": base64.b64encode(np.ascontiguousarray(batch).tobytes()).decode(),
            "outputs": base64.b64encode(np.ascontiguousarray(answers).tobytes()).decode(),
            "labels": [str(names[int(label)]) for label in dataset.test.labels[:GOLDEN_IMAGES]],
        },
    }


def _pixel_rule(runner: Runner, dtype: np.dtype[Any]) -> dict[str, float]:
    """An input is ``step * pixel + shift``."""
    if dtype != np.float32:
        return {"step": 1, "shift": -128 if dtype == np.int8 else 0}
    lo, hi = runner.input_range.lo, runner.input_range.hi  # type: ignore[union-attr]
    return {"step": (hi - lo) / 255, "shift": lo}


def _index(path: Path, about: dict[str, Any]) -> str:
    from mnist_export.report.text import escape

    hint = (
        "Draw with mouse or finger, or open or drop a picture. Nothing leaves this page."
        if about["input"]["drawable"]
        else "Open or drop a picture, or take a test image. Nothing leaves this page."
    )
    return string.Template(_resource("draw.html")).substitute(
        title=escape(path.name),
        hint=escape(hint),
        width=about["input"]["width"],
        height=about["input"]["height"],
        facts=escape(
            f"{path.name}, SHA-256 {about['sha256']}, in onnxruntime-web (WebAssembly, one thread)."
        ),
    )


def _runtime_words() -> str:
    import platform
    from importlib.metadata import version

    return f"ONNX Runtime {version('onnxruntime')} on {platform.machine()}"


def _runtime_files() -> dict[str, bytes]:
    """onnxruntime-web, from what the device ``web`` keeps; only its files are asked for, no browser."""
    from mnist_export.runtime.devices.web import DEVICE

    source = DEVICE.kept.path / _RUNTIME_FOLDER
    try:
        return {name: (source / name).read_bytes() for name in _RUNTIME}
    except OSError as error:
        raise InputError(
            "the page: onnxruntime-web is not on this machine. Fetch it once: mnist-parity devices "
            "--prepare web"
        ) from error


def _resource(name: str) -> str:
    return importlib.resources.files("mnist_export.report").joinpath(name).read_text(encoding="utf-8")
