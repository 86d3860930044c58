"""The page on a phone, in the dark and on paper, in a real browser."""

from __future__ import annotations

import dataclasses

import pytest
from chromium import Chromium, find_chromium

from mnist_export.report.html import render_html
from mnist_export.report.runs import compare_runs, runs_page


@pytest.fixture
def shown(report, tmp_path):
    """A browser with the page open, as asked for."""
    if find_chromium() is None:
        pytest.skip("needs a Chromium: mnist-parity devices --prepare web")
    slower = dataclasses.replace(report.artifacts[0], vs_float=0.388, vs_original=0.0062)
    whole = dataclasses.replace(report, artifacts=(slower, *report.artifacts[1:]))
    page = tmp_path / "page.html"
    page.write_text(render_html(whole), encoding="utf-8")
    browsers = []

    def show(path=page, **screen):
        browsers.append(Chromium(**screen))
        browsers[-1].open(path.as_uri())
        return browsers[-1]

    yield show
    for browser in browsers:
        browser.__exit__(None, None, None)


def test_nothing_is_wider_than_a_phone(shown):
    browser = shown(width=390, height=844, touch=True)
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    assert browser.console == []


def test_a_comparison_fits_a_phone_too(shown, report, tmp_path):
    page = tmp_path / "runs.html"
    page.write_text(runs_page(compare_runs([("a/long-name.int8", report), ("b/long-name.int8", report)])))
    browser = shown(page, width=390, height=844, touch=True)
    assert browser.evaluate("document.documentElement.scrollWidth") == 390


def test_the_dark_scheme_is_dark_and_the_verdict_is_on_the_first_screen(shown):
    colours = []
    for dark in (False, True):
        browser = shown(width=1100, height=700, dark=dark)
        colours.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert browser.evaluate("document.querySelector('h1').getBoundingClientRect().bottom") < 300
    light, dark = (sum(map(int, colour[4:-1].split(","))) for colour in colours)
    assert dark < 100
    assert light > 600


def test_it_can_be_printed(shown):
    paper = shown().pdf()
    assert paper.startswith(b"%PDF")
    assert paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") >= 1
