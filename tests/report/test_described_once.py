"""A result is described once: the report holds the types of the rooms that found it."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

import pytest

from mnist_export.parity.certificate.certifying import Certificate
from mnist_export.parity.certificate.layer import CertifiedLayer
from mnist_export.parity.logits import LogitErrors
from mnist_export.report.codec import encode
from mnist_export.report.schema import Report

ROOT = Path(__file__).parents[2]


def classes(room):
    """Class to the names of its fields, for all classes of a room that hold data."""
    found = {}
    for path in sorted((ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                names = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign)]
                fields = {name for name in names if name.islower()}
                if len(fields) > 1:
                    found[f"{path.relative_to(ROOT)}:{node.name}"] = fields
    return found


def copies(theirs, ours):
    """Classes most of whose fields another class has as well."""
    return [
        (first, second)
        for first, fields in ours.items()
        for second, others in theirs.items()
        if len(fields & others) >= 0.75 * min(len(fields), len(others))
    ]


def test_no_class_of_the_report_copies_one_of_the_rooms_before_it():
    theirs = classes("parity") | classes("runtime")
    # a benchmark's row is flat on purpose: its JSON is a table; one artifact joins a file and its comparison
    joins = {"report/benchmark.py:BenchmarkRow", "report/schema.py:ArtifactResult", "report/context.py:Gap"}
    assert [pair for pair in copies(theirs, classes("report")) if pair[0] not in joins] == []


def test_a_planted_copy_is_found():
    planted = {"report/x.py:Latency": {"p50", "p90", "p99"}}
    assert ("report/x.py:Latency", "runtime/timing/figures.py:Latency") in copies(classes("runtime"), planted)


def test_what_is_no_part_of_the_json_form_is_read_back_as_its_default(report):
    errors = LogitErrors(
        max_abs_error=0.5, different=1, compared=4, rmse=0.25, step=0.5, domain="probabilities"
    )
    assert list(encode(errors)) == [
        "max_abs_error", "sqnr_db", "mean_abs_error", "max_error_steps", "compared", "different",
    ]  # fmt: skip
    changed = dataclasses.replace(report.artifacts[0], logits=errors)
    whole = dataclasses.replace(report, artifacts=(changed, *report.artifacts[1:]))
    read = Report.from_json(whole.to_json())
    assert read == whole
    assert read.artifacts[0].logits.rmse is None


def test_a_certificate_gives_its_finding_and_a_row_for_each_layer():
    layers = (
        CertifiedLayer(name="a", operator="CONV_2D", shifts=(3,), bounds=(7, 9)),
        CertifiedLayer(name="b", operator="ADD", why="rounds"),
    )
    found = Certificate(format="tflite", sha256="0" * 64, layers=layers)
    summary = found.summary()
    assert (summary.verdict, summary.text) == (found.verdict, found.text)
    assert [(row.name, row.holds, row.accumulator_bound) for row in summary.layers] == [
        ("a", True, 9), ("b", False, None),
    ]  # fmt: skip
    assert summary.layers[1].text == "rounds"


@pytest.mark.parametrize("room", ["parity", "runtime"])
def test_the_rooms_before_do_not_know_the_report(room):
    for path in (ROOT / room).rglob("*.py"):
        assert "mnist_export.report" not in path.read_text(encoding="utf-8"), path
