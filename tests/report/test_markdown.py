from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from mnist_export.core.errors import OutputError
from mnist_export.core.kinds import Verdict
from mnist_export.report.markdown import (
    append_step_summary,
    console_summary,
    markdown_summary,
    render_table,
    results_table,
)
from mnist_export.report.schema import Report
from mnist_export.report.text import width


def cells(line: str) -> list[str]:
    return [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_table_has_the_columns_of_the_contract(change: Callable[..., Report]) -> None:
    lines = results_table(change(artifact={"vs_float": 0.41})).splitlines()
    assert cells(lines[0]) == [
        "format", "precision", "size", "top-1", "drop", "agreement", "p50", "vs float", "verdict",
    ]  # fmt: skip
    assert cells(lines[2])[0] == "keras (original)"
    assert cells(lines[3]) == [
        "tflite", "int8", "70.5 kB", "99.26 %", "+0.02 pp", "99.95 %", "32.6 us", "2.44x faster", "pass",
    ]  # fmt: skip


def test_the_columns_line_up(change: Callable[..., Report]) -> None:
    lines = results_table(change(artifact={"precision": "int8", "variant": "\u91cf\u5316"})).splitlines()
    assert len({width(line) for line in lines}) == 1


def test_the_table_of_plain_names_is_ascii(report: Report) -> None:
    assert console_summary(report).isascii()


def test_what_was_not_measured_is_a_dash(change: Callable[..., Report]) -> None:
    table = results_table(change(artifact={"latency_us": None, "vs_float": None}))
    assert cells(table.splitlines()[3])[6:8] == ["-", "-"]


def test_a_failure_stands_out_with_its_reason(change: Callable[..., Report]) -> None:
    failing = change(
        artifact={"verdict": Verdict.FAIL, "why": "drops by 3 pp", "checks": ()}, verdict=Verdict.FAIL
    )
    text = console_summary(failing)
    assert text.startswith("FAIL: ")
    assert cells(results_table(failing).splitlines()[3])[-1] == "FAIL"
    assert "lenet5-mnist.int8.tflite: drops by 3 pp" in text
    assert ": fail" in markdown_summary(failing).splitlines()[0]


def test_the_next_command_is_there_to_copy(report: Report) -> None:
    assert console_summary(report).endswith(f"Next:\n  {report.next_command}\n")
    assert f"```sh\n{report.next_command}\n```" in markdown_summary(report)


def test_names_cannot_break_the_table_or_the_terminal(change: Callable[..., Report]) -> None:
    evil = change(artifact={"variant": "a|b\n<b>\x1b[31m`x`"})
    table = results_table(evil)
    assert "\x1b" not in table
    assert len(table.splitlines()) == 2 + 1 + len(evil.artifacts)
    assert all(len(cells(line)) == 9 for line in table.splitlines())
    assert "<b>" not in table
    assert "\x1b" not in console_summary(evil)


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        render_table(["a", "b"], [["1"]], [False, False])


def test_the_step_summary_is_appended_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    target = tmp_path / "summary.md"
    target.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    assert append_step_summary(markdown_summary(report)) == target
    text = target.read_text()
    assert text.startswith("before\n### lenet5 on mnist, 10,000 images: pass")


def test_without_a_ci_there_is_no_step_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    assert append_step_summary("text") is None


def test_a_step_summary_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write the step summary"):
        append_step_summary("text", tmp_path)
