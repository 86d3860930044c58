"""`compare`: what ``mnist-parity compare`` does, from Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mnist_export.errors import InputError, one_call
from mnist_export.result import Comparison, Result


def compare(*reports: str | Path | Result, names: Sequence[str] | None = None) -> Comparison:
    """Put several runs side by side, as ``mnist-parity compare`` does.

    Args:
        reports: two or more: paths of report.json files, or what `export` and `check` returned.
        names: of the runs; None takes the files' names, and ``run 1``, ``run 2`` for results in memory.

    Returns:
        Every file of every run with its size and top-1 against the first run's.

    Raises:
        InputError: fewer than two reports, one that cannot be read, or outputs of different kinds.
    """
    with one_call(quiet=False):
        from mnist_export.report.runs import compare_runs, named_runs
        from mnist_export.report.schema import Report

        if names is not None and len(names) != len(reports):
            raise InputError(f"names: expected {len(reports)}, one for each report, found {len(names)}.")
        paths = [Path(one) for one in reports if not isinstance(one, Result)]
        short = {path: name for name, path in named_runs(paths)}
        loaded = [
            (f"run {place}", one.report)
            if isinstance(one, Result)
            else (short[Path(one)], Report.load(Path(one)))
            for place, one in enumerate(reports, 1)
        ]
        if names is not None:
            loaded = [(name, report) for name, (_, report) in zip(names, loaded, strict=True)]
        return Comparison(compare_runs(loaded))
