"""``mnist-parity compare``: the reports of several runs side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from mnist_export.cli.console import EXIT_PASS, Console, emit

_EXAMPLES = """examples:
  mnist-parity compare exports/lenet5-mnist.int8.report.json exports/lenet5-mnist.int8-exact.report.json
  mnist-parity compare exports/*.report.json -o comparison.html

Sizes and top-1 are against the first report's file of the same format; everything else is each file's own.
The exit code is 0 whatever the verdicts are: each run has given its own.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``compare``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("reports", type=Path, nargs="+", metavar="REPORT", help="report.json of a run")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the table as an HTML page")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``compare``; returns 0."""
    from mnist_export.core.files import write_atomic_one
    from mnist_export.report.runs import compare_runs, named_runs, runs_page, runs_table
    from mnist_export.report.schema import Report

    loaded = [(name, Report.load(path)) for name, path in named_runs(arguments.reports)]
    runs = compare_runs(loaded)
    if arguments.output is not None:
        write_atomic_one(arguments.output, runs_page(runs).encode())
        console.note(f"page: {arguments.output}")
    emit((runs.to_json() if arguments.json else runs_table(runs)).rstrip("\n"))
    return EXIT_PASS
