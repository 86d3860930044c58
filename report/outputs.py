"""A report of a model of several outputs, seen as one report an output."""

from __future__ import annotations

from dataclasses import replace

from mnist_export.report.markup import Html, join
from mnist_export.report.schema import Report
from mnist_export.report.sections import files
from mnist_export.report.text import clean


def output_views(report: Report) -> tuple[tuple[str, Report], ...]:
    """Each output's name and a report of it alone; the whole, without a name, where there is only one."""
    if not report.outputs:
        return (("", report),)
    return tuple(
        (
            output.name,
            replace(
                report,
                head=output.head,
                verdict=output.verdict,
                reference=output.reference,
                artifacts=output.artifacts,
                thresholds=output.thresholds,
                data=replace(report.data, class_names=output.names),
                outputs=(),
                devices=(),
            ),
        )
        for output in report.outputs
    )


def output_title(name: str, view: Report) -> str:
    """A line above an output's table."""
    return f"Output {clean(name)} ({view.head}):"


def file_sections(report: Report) -> Html:
    """The table of the run; of a model of several outputs, one for each."""
    if not report.outputs:
        return files(report)
    return join(
        [
            files(view, anchor=f"output-{number}", title=f"Output {name}")
            for number, (name, view) in enumerate(output_views(report))
        ],
        "\n",
    )
