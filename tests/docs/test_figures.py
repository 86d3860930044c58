"""Figures in prose are those of the recorded results."""

from __future__ import annotations

import importlib
import json
import sys

import pytest
from figures import ROOT, agrees, look_up, numbers, spread, unmarked_percentages, wrong_figures
from printed_commands import pages

RESULTS = {
    "rows": [
        {"tool": "a", "batch": 1, "top1": 0.99371, "size": 12345},
        {"tool": "a", "batch": 8, "top1": 0.5},
    ]
}


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_marked_figures_are_what_was_recorded(page):
    assert [f"{wrong.line}: {wrong.why}" for wrong in wrong_figures(page)] == []


def test_the_readme_has_no_figure_that_nothing_holds():
    assert unmarked_percentages(ROOT / "README.md") == []


def between(page, module):
    return page.split(module.START)[1].split(module.END)[0].strip()


# Script of benchmarks/ to its page, its results, and what it makes of them: the page, or a part of it.
MADE = {
    "peers": (
        "docs/peers.md",
        "peers.json",
        lambda m, r: m.write_page(ROOT / "docs" / "peers.md", r).decode(),
    ),
    "architectures": ("docs/quantize.md", "architectures.json", lambda m, r: m.table(r)),
    "quantize": ("docs/quantize.md", "quantize.json", lambda m, _: m.tables(m.recorded())),
    "zoo_table": ("docs/zoo.md", "zoo.json", lambda m, r: m.markdown(r["models"])),
    "growth": ("docs/growth.md", "growth.json", lambda m, r: m.page(r)),
    "applications": ("docs/applications.md", "applications.json", lambda m, _: m.table(m.recorded())),
    "devices": ("benchmarks/results/devices.md", "devices.json", lambda m, r: m.table(r["rows"])),
}


@pytest.mark.parametrize("script", MADE)
def test_generated_tables_are_those_of_the_results(script, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    page, result, make = MADE[script]
    text = (ROOT / page).read_text(encoding="utf-8")
    recorded = json.loads((ROOT / "benchmarks" / "results" / result).read_text(encoding="utf-8"))
    module = importlib.import_module(script)
    made = make(module, recorded).strip()
    assert made in text
    if hasattr(module, "START") and page == "docs/quantize.md":
        assert made == between(text, module)


def planted(folder, figures):
    (folder / "r.json").write_text(json.dumps(RESULTS))
    page = folder / "page.md"
    page.write_text(
        f"<!-- figures: r.json\nrows[tool=a][batch=1].{{top1,size}}\n-->\nIt has {figures}.\n\nAnd 3 more.\n"
    )
    return page


@pytest.mark.parametrize(
    "figures", ["99.37 % in 12,345 bytes", "99.4 % in 12,345 bytes of `code 7`", "99 %, int8, 12,345"]
)
def test_figures_that_agree_pass(figures, tmp_path):
    assert wrong_figures(planted(tmp_path, figures), tmp_path) == []


@pytest.mark.parametrize(
    ("figures", "told"),
    [
        ("99.38 % in 12,345 bytes", "99.38 %: r.json has 0.99371"),
        ("99.37 %", "1 figures, 2"),
        ("0.99 and 12,346", "12,346"),
    ],
)
def test_a_stale_figure_is_found(figures, told, tmp_path):
    (wrong,) = wrong_figures(planted(tmp_path, figures), tmp_path)
    assert told in wrong.why
    assert wrong.line == 4


def test_a_place_that_is_not_there_is_found(tmp_path):
    page = planted(tmp_path, "99.37 %")
    page.write_text(page.read_text().replace("tool=a", "tool=b"))
    assert "nothing with tool=b" in wrong_figures(page, tmp_path)[0].why
    page.write_text(page.read_text().replace("r.json", "none.json"))
    assert "none.json" in wrong_figures(page, tmp_path)[0].why


def test_an_unmarked_figure_is_found(tmp_path):
    page = planted(tmp_path, "99.37 % in 12,345 bytes")
    assert unmarked_percentages(page) == []
    page.write_text(page.read_text() + "\nOf these 12.5 % are lost; `0.1 %` is code.\n")
    assert unmarked_percentages(page) == ["12.5"]


def test_paths_spread_and_numbers_are_told_from_names():
    assert list(spread("a[k={x,y}].{p,q}")) == ["a[k=x].p", "a[k=x].q", "a[k=y].p", "a[k=y].q"]
    assert look_up(RESULTS, "rows[1].top1") == 0.5
    assert numbers("int8 of LeNet-5, top-1 99.37 %, 10,000 images, 0.28") == [
        ("99.37", True),
        ("10,000", False),
        ("0.28", False),
    ]
    assert agrees("0.3", False, 0.25)
    assert not agrees("1", False, True)
