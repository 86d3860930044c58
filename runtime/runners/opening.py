"""Opens a file in the runtime that its content asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mnist_export.core.errors import InputError
from mnist_export.core.files import sha256_bytes
from mnist_export.core.pixel_rules import PixelRule
from mnist_export.core.registry import LazyRegistry
from mnist_export.runtime.runners.model_file import ModelFile
from mnist_export.runtime.runners.precision import precision_of_onnx, precision_of_tflite
from mnist_export.runtime.runners.runner import Runner
from mnist_export.runtime.runners.sandbox import is_vouched, try_in_child

if TYPE_CHECKING:
    from mnist_export.models.foreign.beside import Beside

MAX_FILE_BYTES: Final = 2 << 30  # both formats end at 2 GiB: signed 32-bit offsets

MAX_THREADS: Final = 1024

RUNTIMES: Final[LazyRegistry[Callable[..., Runner]]] = LazyRegistry(
    "runtime",
    {
        "litert": "mnist_export.runtime.runners.litert:LiteRtRunner",
        "onnxruntime": "mnist_export.runtime.runners.ort:OnnxRuntimeRunner",
        "keras": "mnist_export.runtime.runners.keras:open_keras",
        "golden": "mnist_export.runtime.runners.golden:GoldenRunner",
        "c": "mnist_export.runtime.runners.c:open_c",
    },
)
_BY_EXTENSION: Final = {
    ".tflite": "litert",
    ".onnx": "onnxruntime",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".npz": "golden",
    ".c": "c",
}


def runtime_of(path: Path) -> str:
    """Name the runtime that a file is for, by its first bytes, else by its extension.

    Args:
        path: a model file, a SavedModel folder or a golden file.

    Raises:
        InputError: nothing there, or no known format.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file. Check the path.")
    if path.is_dir():
        if (path / "saved_model.pb").is_file() or (path / "keras_metadata.pb").is_file():
            return "keras"
        raise InputError(f"{path}: expected a model file or a SavedModel folder, found another folder.")
    with path.open("rb") as stream:
        start = stream.read(8)
    if start[4:8] == b"TFL3":
        return "litert"
    if start == b"\x89HDF\r\n\x1a\n":
        return "keras"
    known = _BY_EXTENSION.get(path.suffix.lower())
    if known is None:
        raise InputError(
            f"{path}: expected a .tflite, .onnx, .keras, .h5, SavedModel or golden .npz, found "
            f"'{path.suffix or 'no extension'}'."
        )
    return known


def read_model(path: Path) -> bytes:
    """Read a model file whole.

    Raises:
        InputError: it cannot be read, is empty, or is over 2 GiB.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path}: expected at most 2 GiB, found {size} bytes.")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if not content:
        raise InputError(f"{path}: expected a model, found an empty file. Export it again.")
    return content


def open_runner(
    path: str | Path,
    *,
    threads: int = 1,
    kernels: str = "default",
    input_range: PixelRule | None = None,
    trust: bool = False,
    beside: Beside | None = None,
    several: bool = False,
) -> Runner:
    """Open a model file in its runtime.

    A .tflite or .onnx file that no manifest beside it vouches for is first loaded and run once in a child
    process with limits on memory, processor time and wall time.

    Args:
        path: .tflite, .onnx, .keras, .h5, a SavedModel folder, or a golden .npz.
        threads: threads that one inference may use.
        kernels: LiteRT's kernels or ONNX Runtime's optimization level; ``default`` for what users get.
        input_range: what pixels 0 and 255 become; None takes the file's own, else 0,1.
        trust: the file is known: skip the child process (and allow SavedModel, which can run code).
        beside: what a user gives beside a Keras model.
        several: whether a .tflite or .onnx of several outputs is taken, its answers side by side.

    Raises:
        InputError: the file is missing, damaged, or crashes its runtime.
        UnsupportedError: it needs what is not run here.
    """
    path = Path(path)
    if not 1 <= threads <= MAX_THREADS:
        raise InputError(f"`threads`: expected 1 to {MAX_THREADS}, found {threads}.")
    name = runtime_of(path)
    factory = RUNTIMES.get(name)
    if name == "keras":
        return factory(path, threads=threads, input_range=input_range, trust=trust, beside=beside)
    if name == "c":
        return factory(path, threads=threads, input_range=input_range, trust=trust)
    if name == "golden":
        return factory(path)
    content = read_model(path)
    digest = sha256_bytes(content)
    if not trust and not is_vouched(path, digest):
        try_in_child(content, runtime=name, label=path.name)
    started = time.perf_counter()
    runner = factory(
        content, label=path.name, threads=threads, kernels=kernels, input_range=input_range, several=several
    )
    loaded = time.perf_counter() - started
    guess = precision_of_tflite if name == "litert" else precision_of_onnx
    about = runner.metadata
    runner.source = ModelFile(
        path=str(path),
        format="tflite" if name == "litert" else "onnx",
        sha256=digest,
        size_bytes=len(content),
        precision=about.precision if about else guess(content, label=path.name),
        variant=about.variant if about else "",
        kernels=kernels,
        load_ms=loaded * 1e3,
    )
    return runner
