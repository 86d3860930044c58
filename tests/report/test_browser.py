"""The page in a real browser: Chromium, headless."""

from __future__ import annotations

import dataclasses
import html
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.report.html import render_html
from mnist_export.report.schema import Report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A window cannot be as narrow as a phone, a frame in it can; the frame's page keeps its own policy.
FRAME = """<!DOCTYPE html><title>waiting</title>
<iframe style="width: {width}px; height: 900px; border: 0" srcdoc="{page}"></iframe>
<script>addEventListener('load', () => {{
  const frame = document.querySelector('iframe').contentWindow, root = frame.document.documentElement
  const broken = [...frame.document.images].filter(i => !i.complete || !i.naturalWidth).length
  document.title = [frame.innerWidth, root.scrollWidth, frame.document.images.length, broken].join(' ')
}})</script>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    pytest.skip("no Chromium on this machine")


def visit(chromium: str, page: str, folder: Path) -> tuple[str, list[str]]:
    """The page's DOM after loading, and what it wrote to the console."""
    file = folder / "page.html"
    file.write_text(page, encoding="utf-8")
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={folder / 'profile'}",
        "--enable-logging=stderr", "--window-size=1280,900", "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def measured(chromium: str, page: str, folder: Path, width: int) -> list[int]:
    """Width of the frame, width of its content, number of pictures, of those that did not load."""
    dom, _ = visit(chromium, FRAME.format(width=width, page=html.escape(page)), folder)
    found = re.search(r"<title>([\d ]+)</title>", dom)
    assert found is not None
    return [int(part) for part in found[1].split()]


def test_the_page_opens_without_a_word_on_the_console(
    chromium: str, tmp_path: Path, report: Report, pictures: dict[int, npt.NDArray[np.uint8]]
) -> None:
    dom, console = visit(chromium, render_html(report, images=pictures), tmp_path)
    assert console == []
    assert "All 3 files pass" in dom
    assert dom.rstrip().endswith("</html>")


def test_the_console_is_really_read_and_requests_are_really_refused(
    chromium: str, tmp_path: Path, report: Report
) -> None:
    spoiled = render_html(report).replace(
        "</main>", '<img src="https://127.0.0.1:9/x.png"/><script>document.title = "run"</script></main>'
    )
    dom, console = visit(chromium, spoiled, tmp_path)
    assert len([line for line in console if "Content Security Policy" in line]) >= 2
    assert "<title>run</title>" not in dom


@pytest.mark.parametrize("width", [360, 1200])
def test_nothing_sticks_out_of_the_screen_and_every_picture_loads(
    chromium: str, tmp_path: Path, report: Report, pictures: dict[int, npt.NDArray[np.uint8]], width: int
) -> None:
    long = "a-very-long-name-without-any-place-to-break-it-" * 3 + ".tflite"
    artifact = dataclasses.replace(report.artifacts[0], path=long, sha256="f" * 64)
    names = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Boot",
    )
    wide = dataclasses.replace(
        report,
        artifacts=(artifact, *report.artifacts[1:]),
        data=dataclasses.replace(report.data, class_names=names),
    )
    page = render_html(wide, images=pictures)
    window, content, shown, broken = measured(chromium, page, tmp_path, width)
    assert window == width
    assert content <= window
    assert shown >= len(pictures)
    assert broken == 0
