"""JavaScript for a page: LiteRT.js for a .tflite, onnxruntime-web for an .onnx; float32 inputs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from mnist_export.report.context import ModelInfo
from mnist_export.report.heads import CLASSES, LABELS
from mnist_export.report.schema import ArtifactResult
from mnist_export.report.snippets import image_shape
from mnist_export.report.usage import Usage

_LITERT: Final = """\
// npm install @litertjs/core; serve node_modules beside the page
import {{ loadLiteRt, loadAndCompile, Tensor }} from "@litertjs/core";
{classes}
await loadLiteRt(new URL("node_modules/@litertjs/core/wasm/", document.baseURI).href);
const model = await loadAndCompile(new URL({file}, document.baseURI).href, {{ accelerator: "wasm" }});

// pixels: Uint8Array of {shape} values, 0 to 255
export async function {call}(pixels) {{
{values}
  const input = new Tensor(values, {input_shape});
  const [output] = await model.run(input);
  const logits = (await output.data()).slice();
  input.delete();
  output.delete();
  return {answer};
}}
"""

_ONNX: Final = """\
// npm install onnxruntime-web; serve node_modules beside the page
import * as ort from "onnxruntime-web";
{classes}
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = new URL("node_modules/onnxruntime-web/dist/", document.baseURI).href;
const session = await ort.InferenceSession.create(new URL({file}, document.baseURI).href);

// pixels: Uint8Array of {shape} values, 0 to 255
export async function {call}(pixels) {{
{values}
  const feed = {{ [session.inputNames[0]]: new ort.Tensor("float32", values, {input_shape}) }};
  const logits = (await session.run(feed))[session.outputNames[0]].data;
  return {answer};
}}
"""

_TITLES: Final = {"tflite": "LiteRT.js", "onnx": "onnxruntime-web"}


def page_usage(
    artifact: ArtifactResult, model: ModelInfo, class_names: Sequence[str], head: str
) -> Usage | None:
    """A module with one function; None for a file that a page does not read.

    Args:
        artifact: the file, with float32 input and output.
        model: gives the image's shape and the input range.
        class_names: in output order.
        head: what the outputs are.
    """
    template = {"tflite": _LITERT, "onnx": _ONNX}.get(artifact.format)
    if template is None or {artifact.input_type, artifact.output_type} != {"float32"}:
        return None
    shape = image_shape(model)
    text = template.format(
        classes=f"\nconst CLASSES = {json.dumps(list(class_names))};" if class_names else "",
        file=json.dumps(artifact.name),
        shape=" * ".join(map(str, shape)),
        call="classify" if head in {CLASSES, LABELS} else "predict",
        values=_values(artifact, model, shape),
        input_shape=json.dumps(list(artifact.input_shape or (1, *shape))),
        answer=_answer(head, named=bool(class_names)),
    )
    return Usage(file=artifact.name, title=_TITLES[artifact.format], language="javascript", code=text)


def _values(artifact: ArtifactResult, model: ModelInfo, shape: tuple[int, ...]) -> str:
    """The input's values, channels first where the file has them so."""
    lo, hi = artifact.input_range or model.input_range or (0.0, 1.0)
    real = "p" if (lo, hi) == (0.0, 255.0) else f"p / 255 * {hi - lo!r} + {lo!r}"
    if (lo, hi) == (0.0, 1.0):
        real = "p / 255"
    if artifact.input_layout != "NCHW" or shape[-1] == 1:
        return f"  const values = Float32Array.from(pixels, (p) => {real});"
    area, channels = shape[0] * shape[1], shape[2]
    return (
        "  const values = new Float32Array(pixels.length);\n"
        f"  const place = (i) => (i % {channels}) * {area} + Math.floor(i / {channels});\n"
        f"  pixels.forEach((p, i) => (values[place(i)] = {real}));"
    )


def _answer(head: str, *, named: bool) -> str:
    if head == LABELS:
        return "CLASSES.filter((name, i) => logits[i] > 0)"
    if head != CLASSES:
        return "logits"
    best = "logits.indexOf(Math.max(...logits))"
    return f"CLASSES[{best}]" if named else best
