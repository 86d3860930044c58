from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnist_export.core.errors import InputError, OutputError
from mnist_export.report.schema import Report
from mnist_export.report.write import write_reports


def test_both_files_are_written_under_their_names(tmp_path: Path, report: Report) -> None:
    paths = write_reports(report, tmp_path / "new", "lenet5-mnist.int8")
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "lenet5-mnist.int8.report.html",
        "lenet5-mnist.int8.report.json",
        "lenet5-mnist.int8.report.sha256",
    ]
    assert Report.load(paths.json) == report
    assert "<!DOCTYPE html>" in paths.html.read_text(encoding="utf-8")
    assert paths.junit is None


def test_junit_is_written_when_asked_for(tmp_path: Path, report: Report) -> None:
    paths = write_reports(report, tmp_path, "a", junit=tmp_path / "ci" / "junit.xml")
    assert paths.junit is not None
    assert paths.junit.read_bytes().startswith(b"<?xml")


def test_nothing_is_written_when_a_picture_is_wrong(tmp_path: Path, report: Report) -> None:
    index = report.artifacts[0].flip_list[0].index
    with pytest.raises(InputError, match="picture of an image"):
        write_reports(report, tmp_path, "a", images={index: np.zeros((28, 28), np.float32)})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_way_is_an_error_and_leaves_the_old_report(tmp_path: Path, report: Report) -> None:
    (tmp_path / "a.report.html").mkdir()
    (tmp_path / "a.report.json").write_text("old")
    with pytest.raises(OutputError, match="cannot write"):
        write_reports(report, tmp_path, "a")
    assert (tmp_path / "a.report.json").read_text() == "old"


def test_text_with_lone_surrogates_can_be_written(tmp_path: Path, change: Callable[..., Report]) -> None:
    odd = change(artifact={"path": "caf\udce9.tflite"}, notes=("bad \ud83d name",))
    paths = write_reports(odd, tmp_path, "a")
    assert Report.load(paths.json) == odd
    assert "caf\ufffd.tflite" in paths.html.read_text(encoding="utf-8")
