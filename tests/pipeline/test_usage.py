"""The code that an export with a target ends with is run as it is printed, on the file that it is about."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

import mnist_export as mx
from mnist_export.report.html import render_html
from mnist_export.report.markdown import console_summary, markdown_summary
from mnist_export.report.schema import ArtifactResult, ModelInfo, Report
from mnist_export.report.usage_kotlin import kotlin_usage
from mnist_export.report.usage_page import page_usage
from mnist_export.runtime.devices.browser import Page
from mnist_export.runtime.devices.openvino import FLOAT32
from mnist_export.runtime.devices.web import DEVICE as WEB

READY = {device.name: not device.why_not_ready() for device in (WEB, FLOAT32)}  # in this run's own cache

_INDEX = """\
<!doctype html><script type="importmap">{"imports": {
  "@litertjs/core": "./node_modules/@litertjs/core/dist/index.js",
  "@litertjs/wasm-utils": "./node_modules/@litertjs/wasm-utils/dist/index.js",
  "onnxruntime-web": "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs"}}</script>
<script type="module">
try {
  const pixels = new Uint8Array(await (await fetch("pixels")).arrayBuffer());
  const { classify } = await import("./code.mjs");
  const said = [];
  for (let i = 0; i < pixels.length; i += 784) said.push(await classify(pixels.slice(i, i + 784)));
  await fetch("said", { method: "POST", body: JSON.stringify(said) });
  await fetch("done", { method: "POST" });
} catch (error) {
  await fetch("refused", { method: "POST", body: String(error && error.message || error) });
}
</script>
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    made = {}

    def export(target):
        if target not in made:
            folder = tmp_path_factory.mktemp(target)
            made[target] = mx.export(
                "lenet5", int8=True, data="digits", output=folder, target=target, on="none"
            )
        return made[target]

    return export


def _labels(found, index, images):
    from mnist_export.runtime.runners.opening import open_runner

    with open_runner(found.files[index].path, trust=True) as runner:
        return [str(label) for label in runner.run(images).argmax(axis=1)]


def _run(code, python, folder, image):
    lines = code.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("pixels ="))
    np.save(folder / "image.npy", image)
    lines.insert(at + 1, 'pixels = np.load("image.npy")')
    done = subprocess.run(
        [python, "-c", "\n".join(lines)], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("target", ["raspberry-pi", "openvino"])
def test_the_python_code_classifies_an_image(exported, digits, target):
    python = sys.executable
    if target == "openvino":
        if not READY["openvino-f32"]:
            pytest.skip("OpenVINO is not prepared here: mnist-parity devices --prepare openvino")
        python = str(FLOAT32.environment.python)
    found = exported(target)
    (usage,) = found.report.usage
    images = digits.test.images[:3]
    said = [_run(usage.code, python, found.files[0].path.parent, image) for image in images]
    assert said == _labels(found, 0, images)


@pytest.mark.parametrize("index", [0, 1])
def test_the_javascript_classifies_images_in_a_browser(exported, digits, index):
    if not READY["web"]:
        pytest.skip("no browser is prepared here: mnist-parity devices --prepare web")
    found = exported("web")
    usage = found.report.usage[index]
    path = found.files[index].path
    assert usage.file == path.name
    images = digits.test.images[:20]
    content = {
        "index.html": _INDEX.encode(),
        "code.mjs": usage.code.encode(),
        "pixels": images.tobytes(),
        path.name: path.read_bytes(),
    }
    folder = WEB.kept.path
    posted = WEB._open(folder, Page(content=content, folders={"node_modules": folder}), wall_s=120)
    assert "refused" not in posted, posted["refused"]
    assert json.loads(posted["said"]) == _labels(found, index, images)


def test_the_code_is_in_the_report_and_on_every_page(exported):
    report = exported("web").report
    assert Report.from_json(report.to_json()) == report
    pages = console_summary(report), markdown_summary(report), render_html(report)
    assert all("loadAndCompile" in page for page in pages)
    assert "```javascript" in pages[1]


def _artifact(report, **changes) -> ArtifactResult:
    return dataclasses.replace(report.artifacts[0], **changes)


def _model(**changes) -> ModelInfo:
    return ModelInfo(**({"name": "net", "source": "file", "input_shape": (4, 4, 3)} | changes))


def test_a_page_gives_channels_first_and_another_range_what_they_take(exported):
    artifact = _artifact(
        exported("web").report,
        input_layout="NCHW",
        input_shape=(1, 3, 4, 4),
        format="onnx",
        path="net.onnx",
        input_range=(-1.0, 1.0),
    )
    code = page_usage(artifact, _model(), ("a", "b"), "classes").code
    assert "(i % 3) * 16 + Math.floor(i / 3)" in code
    assert "p / 255 * 2.0 + -1.0" in code
    assert "[1, 3, 4, 4]" in code
    assert page_usage(_artifact(exported("web").report, input_type="int8"), _model(), (), "classes") is None


@pytest.mark.parametrize(
    ("kind", "put"),
    [("int8", "put((pixel - 128).toByte())"), ("uint8", "put(byte)"), ("float32", "putFloat(pixel / 255f)")],
)
def test_kotlin_fills_the_input_as_the_file_takes_it(exported, kind, put):
    artifact = _artifact(exported("android").report, input_type=kind, output_type=kind)
    code = kotlin_usage(artifact, _model(input_range=(0.0, 1.0)), ("a", 'b"$c', "ö"), "classes").code
    assert put in code
    assert f"allocateDirect({48 * (4 if kind == 'float32' else 1)})" in code
    assert r'listOf("a", "b\u0022\u0024c", "\u00f6")' in code


@pytest.mark.parametrize(("head", "returns"), [("labels", "List<String>"), ("values", "FloatArray")])
def test_kotlin_gives_labels_and_numbers_as_real_values(exported, head, returns):
    artifact = exported("android").report.artifacts[0]
    code = kotlin_usage(artifact, _model(), ("a", "b"), head).code
    assert f": {returns} {{" in code
    assert "quant.scale * ((output.get().toInt()) - quant.zeroPoint)" in code
    assert ("CLASSES" in code) == (head == "labels")


def test_a_file_of_another_format_has_no_kotlin(exported):
    artifact = _artifact(exported("android").report, format="onnx")
    assert kotlin_usage(artifact, _model(), ("a",), "classes") is None
