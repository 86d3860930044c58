"""Runs generated C: exact networks through the machine's compiler, embedded arrays through LiteRT.

Compiling and calling somebody's source runs their code, so it happens only where the file is trusted.
"""

from __future__ import annotations

import ctypes
import re
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.files import sha256_bytes
from mnist_export.core.pixel_rules import PixelRule
from mnist_export.runtime.runners.compiled import FLAGS, build
from mnist_export.runtime.runners.model_file import ModelFile
from mnist_export.runtime.runners.runner import Runner, TensorInfo

EMBEDDED: Final = re.compile(r"const unsigned char (\w+)_tflite\[\w+\] = \{([^}]*)\}")
_VALUE: Final = "#define {upper}_{what} (-?\\d+)"


class CRunner(Runner):
    """An exact network compiled to a shared library and called image by image."""

    name = "c99"
    preferred_batch = 256

    def __init__(
        self, source: bytes, header: bytes, *, label: str, input_range: PixelRule | None = None
    ) -> None:
        """Compile and load.

        Args:
            source: the ``.c`` file.
            header: the ``.h`` file.
            label: what tables call it.
            input_range: what pixels 0 and 255 become; pixels enter as they are either way.

        Raises:
            UnsupportedError: no compiler on this machine.
            InputError: not the C of an exact export.
        """
        text = header.decode("ascii", "replace")
        found = re.search(r"^int (\w+)_predict\(", text, re.MULTILINE)
        if found is None:
            raise InputError(
                f"{label}: expected a header that declares NAME_predict, found none. Export it again."
            )
        name = found.group(1)
        upper = name.upper()
        pixels, classes = _number(text, upper, "PIXELS", label), _number(text, upper, "CLASSES", label)
        exponent = _number(text, upper, "LOGIT_EXPONENT", label)
        self._folder = tempfile.TemporaryDirectory(prefix="mnist-export-c-")
        place = Path(self._folder.name)
        library = build(place, source, header, flags=["-shared", "-fPIC", *FLAGS], output="model.so")
        self._predict = getattr(ctypes.CDLL(str(library)), f"{name}_predict")
        self._predict.restype = ctypes.c_int
        self._predict.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        super().__init__(
            label=label,
            inputs=TensorInfo(name="pixels", shape=(-1, pixels), dtype=np.dtype(np.uint8)),
            outputs=TensorInfo(
                name="logits",
                shape=(-1, classes),
                dtype=np.dtype(np.int8),
                quant=QuantParams.per_tensor(2.0**exponent, _number(text, upper, "LOGIT_ZERO", label)),
            ),
            input_range=input_range,
        )

    def _invoke(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        batch = np.ascontiguousarray(batch)
        logits = np.empty((len(batch), self.num_classes), np.int8)
        source, target = batch.ctypes.data, logits.ctypes.data
        step, width = batch.shape[1], logits.shape[1]
        for place in range(len(batch)):
            self._predict(source + place * step, target + place * width)
        return logits

    def _close(self) -> None:
        self._folder.cleanup()


def _number(text: str, upper: str, what: str, label: str) -> int:
    found = re.search(_VALUE.format(upper=upper, what=what), text)
    if found is None:
        raise InputError(f"{label}: expected {upper}_{what} in the header, found none. Export it again.")
    return int(found.group(1))


def open_c(
    path: Path, *, threads: int = 1, input_range: PixelRule | None = None, trust: bool = False
) -> Runner:
    """Open a ``.c`` file of ours, with the ``.h`` beside it.

    Args:
        path: the ``.c`` file.
        threads: for an embedded .tflite; plain C runs on one.
        input_range: what pixels 0 and 255 become.
        trust: the file is known: it is compiled and run.

    Raises:
        UnsupportedError: not trusted, or no compiler.
        InputError: not one of ours.
    """
    content = path.read_bytes()
    started = time.perf_counter()
    embedded = EMBEDDED.search(content.decode("ascii", "replace"))
    runner: Runner
    if embedded is not None:
        from mnist_export.runtime.runners.litert import LiteRtRunner

        model = bytes(int(word, 16) for word in embedded.group(2).replace(",", " ").split())
        runner = LiteRtRunner(model, label=path.name, threads=threads, input_range=input_range)
    elif not trust:
        raise UnsupportedError(
            f"{path}: C is compiled and run, which needs `trust=True`. Check the .onnx or .tflite instead."
        )
    else:
        header = path.with_suffix(".h")
        if not header.is_file():
            raise InputError(f"{path}: expected the header '{header.name}' beside it, found none.")
        runner = CRunner(content, header.read_bytes(), label=path.name, input_range=input_range)
    about = runner.metadata
    runner.source = ModelFile(
        path=str(path),
        format="c",
        sha256=sha256_bytes(content),
        size_bytes=len(content),
        precision="int8",
        variant=about.variant if about else "exact",
        load_ms=(time.perf_counter() - started) * 1e3,
    )
    return runner
