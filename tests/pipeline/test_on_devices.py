"""``mnist-export --on``: which devices are taken, and what a row does to the report."""

from __future__ import annotations

import numpy as np
import pytest

import mnist_export as mx
from mnist_export.cli import export
from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.pipeline.on_devices import devices_for
from mnist_export.pipeline.request import job_with
from mnist_export.report.html import render_html
from mnist_export.report.markdown import console_summary, markdown_summary
from mnist_export.report.schema import Report
from mnist_export.runtime.devices import registry
from mnist_export.runtime.devices.device import Answer


class _Toy:
    """A device that answers with zeros, refuses, or only compiles."""

    def __init__(self, name, what, formats=("tflite",)):
        self.name, self.what, self.formats = name, what, formats
        self.title = self.needs = name
        self.asked = 0

    def why_not_ready(self):
        return ""

    def answer(self, question):
        self.asked += len(question.batch)
        if self.what == "refuses":
            raise UnsupportedError("no kernel for CONV_2D")
        if self.what == "compiles":
            return Answer(values=None, figures={"cycles": "12"}, summary="compiles; 12 cycles")
        shape = (len(question.batch), question.classes)
        return Answer(values=np.zeros(shape, question.output_type), arena_bytes=64)


class _Table(dict):
    get = dict.__getitem__


@pytest.fixture()
def toys(monkeypatch):
    made = {
        "zeros": _Toy("zeros", "zeros"),
        "refuses": _Toy("refuses", "refuses"),
        "compiles": _Toy("compiles", "compiles"),
        "other": _Toy("other", "zeros", ("onnx",)),
    }
    table = _Table(made)
    monkeypatch.setattr(registry, "DEVICES", table)
    return made


def test_named_devices_have_to_be_ready_and_to_read_a_format(toys, monkeypatch):
    job = job_with(int8=True, on="zeros,compiles")
    assert [d.name for d in devices_for(job)] == ["zeros", "compiles"]
    with pytest.raises(InputError, match='`on="other"`: reads onnx, found `formats="tflite"`'):
        devices_for(job_with(int8=True, on="other"))
    monkeypatch.setattr(toys["zeros"], "why_not_ready", lambda: "not prepared")
    with pytest.raises(InputError, match="Run: mnist-parity devices --prepare zeros"):
        devices_for(job)


def test_an_exact_export_takes_all_that_are_ready_and_run_files(toys):
    toys["compiles"].runs = False
    assert [d.name for d in devices_for(job_with(exact=True))] == ["zeros", "refuses"]
    assert devices_for(job_with(exact=True, on="none")) == ()
    assert devices_for(job_with(int8=True)) == ()
    assert len(devices_for(job_with(int8=True, on="ready", format="tflite,onnx"))) == len(toys) - 1


def test_rows_are_in_the_report_and_a_failing_device_fails_it(toys, tmp_path):
    made = mx.export(
        "lenet5", int8=True, data="digits", output=tmp_path, on="zeros,refuses,compiles", formats="tflite"
    )
    rows = {row.device: row for row in made.report.devices}
    assert made.report.verdict.value == "fail"
    assert [a.verdict.value for a in made.report.artifacts] == ["pass"]
    assert rows["zeros"].verdict == "fail"
    assert rows["zeros"].differing > 0
    assert rows["zeros"].images == toys["zeros"].asked == 400
    assert (rows["refuses"].verdict, rows["refuses"].differing) == ("fail", None)
    assert rows["refuses"].why == "no kernel for CONV_2D"
    assert (rows["compiles"].verdict, rows["compiles"].figures) == ("compiled", {"cycles": "12"})
    text = made.report.to_json()
    assert Report.from_json(text) == made.report
    for page in (render_html(made.report), console_summary(made.report), markdown_summary(made.report)):
        assert "no kernel for CONV_2D" in page
        assert "12 cycles" in page


def test_devices_that_nobody_named_fail_nothing_by_refusing(toys, tmp_path):
    del toys
    registry.DEVICES.pop("zeros")
    made = mx.export("lenet5", int8=True, data="digits", output=tmp_path, on="ready", formats="tflite")
    assert [(row.device, row.verdict) for row in made.report.devices] == [
        ("refuses", "not run"),
        ("compiles", "compiled"),
    ]
    assert made.report.verdict.value == "pass"


def test_an_unknown_device_is_refused_before_anything_is_loaded(tmp_path, capsys):
    assert export.main(["lenet5", "--int8", "--on", "tflmm", "-o", str(tmp_path / "out")]) == 2
    assert "Did you mean 'tflm'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
