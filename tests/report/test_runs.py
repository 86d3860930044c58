"""Several runs side by side."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

import mnist_export as mx
from mnist_export.cli import parity
from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.report.runs import compare_runs, named_runs, runs_page, runs_table


@pytest.fixture
def later(report):
    """The same run with a first file that is smaller, worse and fails."""
    changed = dataclasses.replace(
        report.artifacts[0],
        size_bytes=report.artifacts[0].size_bytes // 2,
        top1=report.artifacts[0].top1 - 0.01,
        verdict=Verdict.FAIL,
        checks=(),
    )
    machine = dataclasses.replace(report.environment, cpu="another <processor>")
    return dataclasses.replace(
        report, artifacts=(changed, *report.artifacts[1:]), verdict=Verdict.FAIL, environment=machine
    )


def test_files_are_against_the_first_runs_of_their_format(report, later):
    runs = compare_runs([("old", report), ("new", later)])
    assert len(runs.files) == 2 * len(report.artifacts)
    first, changed = runs.files[0], runs.files[len(report.artifacts)]
    assert (first.size_ratio, first.top1_change_pp) == (None, None)
    assert changed.size_ratio == pytest.approx(0.5, abs=0.01)
    assert changed.top1_change_pp == pytest.approx(-1)
    assert changed.verdict is Verdict.FAIL


def test_what_makes_runs_hard_to_compare_is_said(report, later):
    assert compare_runs([("a", report), ("b", report)]).notes == ()
    (note,) = compare_runs([("old", report), ("new", later)]).notes
    assert note.startswith("machines differ: old: ")


def test_the_table_and_the_page_show_each_file_once_and_escape(report, later):
    runs = compare_runs([("old", report), ("new", later)])
    text, page = runs_table(runs), runs_page(runs)
    assert text.startswith("1 of 2 runs pass.")
    assert text.count("| FAIL") == 1
    assert "-1.00 pp" in text
    assert page.count("<tr") == 1 + len(runs.files)
    assert "another &lt;processor&gt;" in page
    assert "<script" not in page


def test_one_report_is_not_a_comparison(report):
    with pytest.raises(InputError, match="two reports or more"):
        compare_runs([("a", report)])


def test_runs_are_called_by_as_much_of_their_paths_as_tells_them_apart():
    paths = [Path("old/x.report.json"), Path("new/x.report.json")]
    assert [name for name, _ in named_runs(paths)] == ["old/x", "new/x"]
    assert [name for name, _ in named_runs([Path("a/x.report.json"), Path("a/y.json")])] == ["x", "y"]
    assert len({name for name, _ in named_runs([paths[0], paths[0]])}) == 2


def test_the_command_prints_a_table_or_json_and_writes_a_page(report, later, tmp_path, capsys):
    paths = [tmp_path / "a.report.json", tmp_path / "b.report.json"]
    for path, one in zip(paths, (report, later), strict=True):
        path.write_text(one.to_json())
    page = tmp_path / "page.html"
    assert parity.main(["compare", *map(str, paths), "-o", str(page), "-q"]) == 0
    assert "against first" in capsys.readouterr().out
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert parity.main(["compare", *map(str, paths), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"] == ["a", "b"]
    assert parity.main(["compare", str(paths[0])]) == 2
    assert parity.main(["compare", str(paths[0]), str(page)]) == 2


def test_python_takes_paths_and_results(report, later, tmp_path):
    path = tmp_path / "a.report.json"
    path.write_text(report.to_json())
    found = mx.compare(path, mx.Result(later))
    assert found.runs.runs == ("a", "run 2")
    assert "1 of 2 runs pass" in repr(found)
    assert found._repr_html_().startswith("<div")
    assert mx.compare(path, path, names=["x", "y"]).runs.runs == ("x", "y")
    with pytest.raises(mx.InputError, match="two reports"):
        mx.compare(path)
    with pytest.raises(mx.InputError, match="names: expected 1"):
        mx.compare(path, names=["x", "y"])
