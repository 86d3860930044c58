"""Runs an .onnx file in onnxruntime-web's WebAssembly under Node, where both are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import ConversionError, UnsupportedError
from mnist_export.runtime.runners.ort import OnnxRuntimeRunner
from mnist_export.runtime.runners.pixel_input import lay_out

FOLDER_VARIABLE: Final = "MNIST_EXPORT_WEB"
"""Environment variable: a folder whose node_modules holds onnxruntime-web."""
_TIMEOUT_S: Final = 1800
_BATCH: Final = 100

_SCRIPT: Final = """\
import fs from "node:fs";
import { createRequire } from "node:module";
const [folder, model, input, output, name, size, ...tail] = process.argv.slice(2);
const ort = createRequire(folder + "/")("onnxruntime-web");
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(fs.readFileSync(model), { executionProviders: ["wasm"] });
const values = new Uint8Array(fs.readFileSync(input));
const shape = tail.map(Number);
const each = shape.reduce((a, b) => a * b, 1);
const parts = [];
for (let start = 0; start < values.length; start += each * Number(size)) {
  const part = values.slice(start, start + each * Number(size));
  const tensor = new ort.Tensor("uint8", part, [part.length / each, ...shape]);
  const result = await session.run({ [name]: tensor });
  parts.push(Buffer.from(Object.values(result)[0].data));
}
fs.writeFileSync(output, Buffer.concat(parts));
"""


def run_web(content: bytes, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Classify images in WebAssembly.

    Args:
        content: an .onnx file with a uint8 input.
        images: uint8 of shape (n, H, W, C).

    Returns:
        uint8 logits of shape (n, classes).

    Raises:
        UnsupportedError: no Node, or the variable that names the package's folder is not set.
        ConversionError: the script fails.
    """
    node, folder = shutil.which("node"), os.environ.get(FOLDER_VARIABLE)
    if node is None or not folder or not (Path(folder) / "node_modules" / "onnxruntime-web").is_dir():
        raise UnsupportedError(
            f"WebAssembly: expected node, and {FOLDER_VARIABLE} set to a folder where "
            "'npm install onnxruntime-web' was run; found neither or one."
        )
    with OnnxRuntimeRunner(content) as runner:
        batch, entry, classes = lay_out(images, runner.input.shape), runner.input.name, runner.num_classes
        dtype = runner.input.dtype
    if dtype != np.uint8:
        raise UnsupportedError(f"WebAssembly: expected a uint8 input, found {dtype}.")
    with tempfile.TemporaryDirectory(prefix="mnist-export-web-") as place:
        here = Path(place)
        (here / "model.onnx").write_bytes(content)
        (here / "input.bin").write_bytes(batch.tobytes())
        (here / "run.mjs").write_text(_SCRIPT, encoding="ascii")
        names = [
            "run.mjs",
            str(Path(folder).resolve()),
            "model.onnx",
            "input.bin",
            "output.bin",
            entry,
            str(_BATCH),
        ]
        done = subprocess.run(
            [node, *names, *map(str, batch.shape[1:])],
            cwd=here, capture_output=True, timeout=_TIMEOUT_S, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ConversionError(f"WebAssembly: {done.stderr.decode('utf-8', 'replace').strip()[:400]}")
        answers = np.frombuffer((here / "output.bin").read_bytes(), np.uint8)
    return answers.reshape(-1, classes)
