"""A browser: LiteRT.js and onnxruntime-web, both WebAssembly, in a headless Chromium."""

from __future__ import annotations

import json
import platform
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.runtime.devices.browser import Page, open_page
from mnist_export.runtime.devices.device import Answer, Question
from mnist_export.runtime.devices.kept import KeptFolder, run_step
from mnist_export.runtime.devices.npm import fetch_npm, why_no_npm

_LITERT: Final = ("@litertjs/core@2.5.3", "@litertjs/wasm-utils@2.5.3")
_ONNX: Final = ("onnxruntime-web@1.30.0",)
_CHROMIUM: Final = ("@sparticuz/chromium@153.0.0",)
_WALL_S: Final = 900.0
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")

_INFLATE: Final = """\
const fs = require("node:fs"), zlib = require("node:zlib");
for (const [from, to] of [["chromium.br", "chromium"], ["al2023.tar.br", "libraries.tar"]])
  fs.writeFileSync(to, zlib.brotliDecompressSync(fs.readFileSync("@sparticuz/chromium/bin/" + from)));
"""

_PAGE: Final = """\
<!doctype html><meta charset="utf-8"><title>mnist-export</title>
<script type="importmap">{"imports": {
  "@litertjs/core": "./packages/@litertjs/core/dist/index.js",
  "@litertjs/wasm-utils": "./packages/@litertjs/wasm-utils/dist/index.js",
  "onnxruntime-web": "./packages/onnxruntime-web/dist/ort.wasm.min.mjs"}}</script>
<script type="module">
const post = (name, body) => fetch(name, { method: "POST", body });
const bytes = async (name) => (await fetch(name)).arrayBuffer();
const arrays = { int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array, float32: Float32Array };

async function litert(order, model) {
  const { loadLiteRt, loadAndCompile, Tensor } = await import("@litertjs/core");
  await loadLiteRt(new URL("packages/@litertjs/core/wasm/", location.href).href);
  const compiled = await loadAndCompile(model, { accelerator: "wasm" });
  return async (values) => {
    const input = new Tensor(values, order.shape);
    const outputs = await compiled.run(input);
    const output = Array.isArray(outputs) ? outputs[0] : Object.values(outputs)[0];
    const answer = (await output.data()).slice();
    input.delete();
    for (const one of Object.values(outputs)) one.delete();
    return answer;
  };
}

async function onnx(order, model) {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL("packages/onnxruntime-web/dist/", location.href).href;
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const name = session.inputNames[0];
  return async (values) => {
    const result = await session.run({ [name]: new ort.Tensor(order.dtype, values, order.shape) });
    return result[session.outputNames[0]].data;
  };
}

try {
  const order = await (await fetch("order.json")).json();
  const [model, batch] = await Promise.all([bytes("model"), bytes("batch")]);
  const type = arrays[order.dtype];
  if (!type) throw new Error(order.dtype + " inputs are not passed to a page");
  const values = new type(batch);
  const call = await (order.format === "onnx" ? onnx : litert)(order, new Uint8Array(model));
  const each = values.length / order.count, parts = [];
  for (let i = 0; i < order.count; i++) parts.push(await call(values.slice(i * each, (i + 1) * each)));
  const width = parts[0].length, joined = new parts[0].constructor(width * parts.length);
  parts.forEach((part, i) => joined.set(part, i * width));
  const first = values.slice(0, each), times = [];
  for (let round = 0; round < 21; round++) {
    const started = performance.now();
    for (let i = 0; i < 10; i++) await call(first);
    times.push((performance.now() - started) * 100);
  }
  times.sort((a, b) => a - b);
  await post("values", joined);
  await post("done", JSON.stringify({ latency_us: times[10], type: parts[0].constructor.name }));
} catch (error) {
  await post("refused", String(error && error.message || error));
}
</script>
"""


@dataclass(frozen=True, kw_only=True)
class WebDevice:
    """A page in Chromium; images go through it one by one, as on a page."""

    name: str = "web"
    title: str = "LiteRT.js and onnxruntime-web in Chromium, WebAssembly"
    needs: str = "LiteRT.js, onnxruntime-web and Chromium from npm (115 MB)"
    formats: tuple[str, ...] = ("tflite", "onnx")

    @property
    def kept(self) -> KeptFolder:
        """Where the packages are."""
        own = _CHROMIUM if _ships_chromium() else ()
        return KeptFolder(name=self.name, contents=(*_LITERT, *_ONNX, *own))

    def why_not_ready(self) -> str:
        """Say why it cannot answer now; empty where it can."""
        if why := self.kept.problem():
            return why
        return "" if self._chromium() else "no Chromium on this machine; run: apt-get install chromium"

    def prepare(self, notify: Callable[[str], None], *, quiet: bool = False) -> None:
        """Fetch the packages and see that Chromium opens a page.

        Raises:
            MnistExportError: npm or Chromium cannot be had.
        """
        if not _ships_chromium() and self._chromium() is None:
            raise InputError(f"{self.name}: no Chromium on this machine. Run: apt-get install chromium")
        if why := why_no_npm():
            raise InputError(f"{self.name}: {why}.")

        def fill(folder: Path) -> dict[str, Any]:
            notify(f"{self.name}: fetching {', '.join(self.kept.contents)}")
            sums = fetch_npm(self.name, self.kept.contents, folder, quiet=quiet)
            if _ships_chromium():
                self._unpack_chromium(folder)
            notify(f"{self.name}: trying Chromium")
            page = Page(content={"index.html": b'<script>fetch("done",{method:"POST"})</script>'}, folders={})
            self._open(folder, page, wall_s=60)
            return {"packages_sha256": sums}

        self.kept.make(fill)

    def answer(self, question: Question) -> Answer:
        """Run the file over the batch in a page.

        Raises:
            UnsupportedError: the device does not read such files, or the runtime refuses this one.
            InputError: the browser crashed, took too long or answered with another shape or type.
        """
        if question.format not in self.formats:
            raise UnsupportedError(
                f"{question.label}: {self.name} reads {' and '.join(self.formats)}, not {question.format}."
            )
        batch = np.ascontiguousarray(question.batch)
        order = {
            "format": question.format,
            "dtype": str(batch.dtype),
            "count": len(batch),
            "shape": [1, *batch.shape[1:]],
        }
        content = {
            "index.html": _PAGE.encode(),
            "order.json": json.dumps(order).encode(),
            "model": question.content,
            "batch": batch.tobytes(),
        }
        folder = self.kept.path
        posted = self._open(folder, Page(content=content, folders={"packages": folder}), wall_s=_WALL_S)
        if "refused" in posted:
            reason = " ".join(posted["refused"].decode("utf-8", "replace").split())[:400]
            runtime = "onnxruntime-web" if question.format == "onnx" else "LiteRT.js"
            hint = " It takes float32 inputs and a batch fixed at 1; the .onnx runs in a page as it is."
            raise UnsupportedError(
                f"{question.label}: {runtime} cannot run it ({reason.rstrip('.')})."
                f"{hint if question.format == 'tflite' else ''}"
            )
        return self._read(question, posted["values"], posted["done"])

    def _read(self, question: Question, values: bytes, done: bytes) -> Answer:
        facts: dict[str, Any] = json.loads(done)
        found = str(facts.get("type", "")).removesuffix("Array").replace("Clamped", "").lower()
        expected = len(question.batch) * question.classes * question.output_type.itemsize
        if found != str(question.output_type) or len(values) != expected:
            raise InputError(
                f"{question.label}: expected {expected} bytes of {question.output_type} from {self.name}, "
                f"found {len(values)} of {found or 'no type'}."
            )
        return Answer(
            values=np.frombuffer(values, question.output_type).reshape(len(question.batch), question.classes),
            latency_us=float(facts["latency_us"]),
        )

    def _unpack_chromium(self, folder: Path) -> None:
        run_step(self.name, "unpacking Chromium", ["node", "-e", _INFLATE], quiet=True, folder=folder)
        (folder / "chromium").chmod(0o700)
        (folder / "libraries").mkdir()
        with tarfile.open(folder / "libraries.tar") as archive:
            for member in archive:
                source = archive.extractfile(member) if member.isfile() else None
                if source is not None:
                    (folder / "libraries" / Path(member.name).name).write_bytes(source.read())
        (folder / "libraries.tar").unlink()
        shutil.rmtree(folder / "@sparticuz")

    def _open(self, folder: Path, page: Page, *, wall_s: float) -> Any:
        chromium = folder / "chromium" if _ships_chromium() else self._chromium()
        if chromium is None:
            raise InputError(f"{self.name}: no Chromium on this machine. Run: apt-get install chromium")
        libraries = {"LD_LIBRARY_PATH": str(folder / "libraries")} if _ships_chromium() else {}
        return open_page(self.name, chromium, page, wall_s=wall_s, variables=libraries)

    def _chromium(self) -> Path | None:
        if _ships_chromium():
            own = self.kept.path / "chromium"
            return own if own.is_file() else None
        return next((Path(found) for name in _BROWSERS if (found := shutil.which(name))), None)


def _ships_chromium() -> bool:
    """Whether the npm package's Chromium is for this machine."""
    return platform.machine() == "x86_64" and platform.system() == "Linux"


DEVICE: Final = WebDevice()
