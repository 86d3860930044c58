"""The page reads what is drawn on it, in a real browser, with the file that was exported."""

from __future__ import annotations

import base64
import contextlib
import functools
import http.server
import itertools
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from chromium import Chromium, find_chromium

from mnist_export.cli import export, parity
from mnist_export.core.errors import UnsupportedError
from mnist_export.data import load_dataset
from mnist_export.pipeline import drawing_page
from mnist_export.pipeline.drawing_page import page_facts, write_drawing_page
from mnist_export.runtime.devices.web import DEVICE
from mnist_export.runtime.runners.opening import open_runner

SEVEN = [(70, 70), (210, 70), (170, 140), (140, 215)]
ONE = [(140, 50), (140, 230)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    words = ["--int8", "--format", "tflite,onnx", "--data", "digits", "-o", str(folder), "-q"]
    assert export.main(words) == 0
    return folder / "lenet5-digits.int8.onnx"


@pytest.fixture
def vendored(monkeypatch):
    """The runtime's files stand for themselves where they were not fetched."""
    runtime = dict.fromkeys(("ort.wasm.min.mjs", "ort-wasm-simd-threaded.wasm"), b"// not fetched")
    monkeypatch.setattr(drawing_page, "_runtime_files", lambda: runtime)


def test_the_folder_holds_the_very_file_and_what_it_answers(exported, digits, vendored, tmp_path):
    found = write_drawing_page(exported, digits, tmp_path / "page", trust=True)
    folder = found.index.parent
    assert (folder / "model.onnx").read_bytes() == exported.read_bytes()
    about = json.loads((folder / "page.json").read_text())
    golden = about["golden"]
    inputs = np.frombuffer(base64.b64decode(golden["inputs"]), np.uint8)
    assert np.array_equal(inputs, digits.test.images[: golden["count"]].ravel())
    with open_runner(exported, trust=True) as runner:
        expected = runner.run_integers(digits.test.images[: golden["count"]])
    assert base64.b64decode(golden["outputs"]) == expected.tobytes()
    page = found.index.read_text()
    assert "Content-Security-Policy" in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_file_that_gives_no_integers_and_another_format_are_refused(exported, digits, tmp_path, capsys):
    with pytest.raises(UnsupportedError, match=r"expected an \.onnx"):
        write_drawing_page(exported.with_suffix(".tflite"), digits, tmp_path / "page")
    words = ["--format", "onnx", "--data", "digits", "-o", str(tmp_path), "-q"]
    assert export.main(words) == 0
    with (
        open_runner(tmp_path / "lenet5-digits.float32.onnx", trust=True) as runner,
        pytest.raises(UnsupportedError, match="export with `int8=True`"),
    ):
        page_facts(runner, digits)


def test_the_command_says_how_to_fetch_the_runtime(exported, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "empty"))
    words = ["page", str(exported), "--data", "digits", "-o", str(tmp_path / "page")]
    assert parity.main(words) == 2
    assert "mnist-parity devices --prepare web" in capsys.readouterr().err
    assert not (tmp_path / "page").exists()


@contextlib.contextmanager
def serving(folder):
    """The address of a folder, while it is served."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            """Nothing on stderr."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def web():
    if find_chromium() is None or DEVICE.kept.problem():
        pytest.skip("needs the device web: mnist-parity devices --prepare web")


@pytest.fixture(scope="module")
def served(web, exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    write_drawing_page(exported, load_dataset("digits"), folder, trust=True)
    with serving(folder) as address:
        yield address, folder


def draw(browser, points):
    """Draw lines with the mouse, or with a finger, in the pad's own coordinates."""
    box = browser.evaluate("(({x, y, width}) => [x, y, width / 280])(pad.getBoundingClientRect())")
    steps = []
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        steps += [(x0 + (x1 - x0) * i / 12, y0 + (y1 - y0) * i / 12) for i in range(13)]
    place = [{"x": box[0] + x * box[2], "y": box[1] + y * box[2]} for x, y in steps]
    mouse = functools.partial(browser.call, "Input.dispatchMouseEvent", button="left", clickCount=1)
    mouse(type="mousePressed", **place[0])
    for point in place:
        mouse(type="mouseMoved", buttons=1, **point)
    mouse(type="mouseReleased", **place[-1])


@pytest.mark.parametrize("width", [1100, 390])
def test_it_reads_what_is_drawn_and_its_integers_are_right(served, width):
    address, _ = served
    with Chromium(width=width, height=844, touch=width == 390) as browser:
        browser.open(f"{address}/index.html")
        browser.wait_for("document.body.dataset.state !== 'loading'")
        said = browser.evaluate("document.getElementById('parity').textContent")
        assert browser.evaluate("document.body.dataset.parity") == "pass", said
        assert said.startswith("320 of 320 golden integers")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        draw(browser, SEVEN)
        browser.wait_for("document.body.dataset.answer === '7'")
        browser.evaluate("document.getElementById('clear').click()")
        assert browser.evaluate("document.body.dataset.answer ?? ''") == ""
        draw(browser, ONE)
        browser.wait_for("document.body.dataset.answer === '1'")
        assert browser.evaluate("document.querySelectorAll('.bar').length") == 10
        assert browser.console == []
        assert all(url.startswith((address, "data:", "blob:")) for url in browser.requests)


def test_a_changed_file_or_integer_is_seen(served, exported):
    address, folder = served
    about = Path(folder / "page.json")
    before = about.read_text()
    changed = json.loads(before)
    outputs = bytearray(base64.b64decode(changed["golden"]["outputs"]))
    outputs[5] ^= 1
    changed["golden"]["outputs"] = base64.b64encode(outputs).decode()
    changed["sha256"] = "0" * 64
    about.write_text(json.dumps(changed))
    try:
        with Chromium() as browser:
            browser.open(f"{address}/index.html")
            browser.wait_for("document.body.dataset.state === 'ready'")
            said = browser.evaluate("document.getElementById('parity').textContent")
        assert said.startswith("The file is not the one that was exported. 319 of 320")
    finally:
        about.write_text(before)


def test_a_file_of_integers_with_float_ends_is_compared_bit_for_bit(web, tmp_path):
    words = ["--int8", "--io", "float32", "--format", "onnx", "--data", "digits", "-o", str(tmp_path), "-q"]
    assert export.main([*words, "--page", str(tmp_path / "page")]) == 0
    with serving(tmp_path / "page") as address, Chromium() as browser:
        browser.open(f"{address}/index.html")
        browser.wait_for("document.body.dataset.state !== 'loading'")
        said = browser.evaluate("document.getElementById('parity').textContent")
        assert said.startswith("320 of 320 golden values")
        draw(browser, SEVEN)
        browser.wait_for("document.body.dataset.answer === '7'")
        assert browser.console == []


def test_a_page_of_no_int8_onnx_is_refused_before_any_work(tmp_path, capsys):
    for words in (["--int8"], ["--format", "onnx"]):
        given = [*words, "--data", "digits", "-o", str(tmp_path / "x"), "--page", str(tmp_path / "page")]
        assert export.main(given) == 2
        said = capsys.readouterr().err
        assert "--page: expected an int8 .onnx" in said
        assert "--int8" in said
    assert not (tmp_path / "x").exists()
