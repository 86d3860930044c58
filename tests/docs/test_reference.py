"""The reference that is made from the code: report.json's schema, the commands, the pages of the site."""

from __future__ import annotations

import json
import re

import pytest
from command_reference import commands_page
from printed_commands import ROOT
from report_schema import report_schema

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def validator():
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_real_reports_are_what_the_schema_says(validator, prepared):
    reports = sorted((prepared / "files" / "exports").glob("*.report.json"))
    assert len(reports) == 3
    for path in reports:
        assert list(validator.iter_errors(json.loads(path.read_text(encoding="utf-8")))) == []


def test_the_schema_refuses_what_a_report_is_not(validator, prepared):
    path = next((prepared / "files" / "exports").glob("*.report.json"))
    report = json.loads(path.read_text(encoding="utf-8"))
    for spoil in (
        lambda one: one.pop("verdict"),
        lambda one: one.update(schema_version=2),
        lambda one: one["artifacts"][0].update(top1=99.4),
        lambda one: one["artifacts"][0].update(size_bytes="76736"),
        lambda one: one["artifacts"][0].update(verdict="perhaps"),
    ):
        spoiled = json.loads(json.dumps(report))
        spoil(spoiled)
        assert list(validator.iter_errors(spoiled)) != []


def test_fields_are_described_by_the_docstrings():
    artifact = report_schema()["$defs"]["ArtifactResult"]["properties"]
    assert artifact["drop_pp"]["description"] == "percentage points, reference minus artifact."
    assert (artifact["top1"]["minimum"], artifact["top1"]["maximum"]) == (0, 1)


def test_every_option_of_every_command_is_in_the_reference():
    page = commands_page()
    for name in ("mnist-export", "mnist-parity", "mnist-train", "mnist-bench", "mnist-search"):
        assert f"\n## {name}\n" in page
    for option in ("--keep-float", "--qat", "--junit", "--against", "--allow-extra", "--epochs", "--budget"):
        assert f"`{option}" in page
    assert "%%" not in page


def test_the_site_leads_to_every_page():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = set(re.findall(r"([\w/-]+\.md)", nav))
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {name for name in there if not name.startswith("adr/")} <= named
