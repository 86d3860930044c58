"""A report's sentences in the words of the command that made it."""

from __future__ import annotations

from dataclasses import replace

from mnist_export.cli import export
from mnist_export.cli.flags import wording
from mnist_export.report.context import Finding
from mnist_export.report.reworded import reworded


def test_a_report_is_brought_into_the_command_s_words(report):
    said = (Finding(text="try `equalize=True`", where="`debug_layers`"),)
    before = replace(report, findings=said, command="mnist-export `data`", notes=("`auto` did it",))
    shown = reworded(before, wording(export.build_parser()))
    assert (shown.findings[0].text, shown.findings[0].where) == ("try --equalize", "--debug-layers")
    assert shown.notes == ("--auto did it",)
    assert shown.command == before.command
    assert shown.artifacts == before.artifacts
