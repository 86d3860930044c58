"""Two benchmark runs side by side: ratios, and a verdict on what became worse.

Times are judged by their ratio to the float32 ONNX file of the same run, which a slower or busier machine
does not change much; absolute times are never judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.report.benchmark import Benchmark, BenchmarkRow
from mnist_export.report.markdown import render_table
from mnist_export.report.text import cell

_MEBIBYTE: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much worse a figure may be.

    Attributes:
        time: the ratio to ONNX float may grow by this factor, beyond both runs' intervals.
        size: a file may grow by this factor.
        memory: memory may grow by this factor, and always by 8 MiB.
        top1_pp: top-1 may fall by this many percentage points.
        agreement_pp: agreement may fall by this many percentage points.
    """

    time: float = 1.10
    size: float = 1.02
    memory: float = 1.25
    top1_pp: float = 0.10
    agreement_pp: float = 0.10

    def __post_init__(self) -> None:
        """Refuse factors under 1 and negative points."""
        if min(self.time, self.size, self.memory) < 1 or min(self.top1_pp, self.agreement_pp) < 0:
            raise InputError(
                f"`compare`: expected factors of 1 or more and points of 0 or more, found {self}."
            )


@dataclass(frozen=True, kw_only=True)
class Change:
    """One figure in both runs.

    Attributes:
        name: of the configuration.
        figure: such as ``size``.
        old: its value before.
        new: its value now.
        ratio: new over old; None where old is 0.
        verdict: fail where it became worse than its limit.
    """

    name: str
    figure: str
    old: float
    new: float
    ratio: float | None
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All changes.

    Attributes:
        verdict: fail where any figure fails.
        changes: every figure that both runs have.
        missing: configurations that only the old run has.
        notes: such as that the machines differ.
    """

    verdict: Verdict
    changes: tuple[Change, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Change, ...]:
        """The figures that became worse than their limit."""
        return tuple(change for change in self.changes if change.verdict is Verdict.FAIL)


def compare_benchmarks(old: Benchmark, new: Benchmark, limits: Limits | None = None) -> Comparison:
    """Compare the configurations that both runs have.

    Args:
        old: the run to be measured against.
        new: the run that is judged.
        limits: how much worse a figure may be.

    Raises:
        InputError: they have no configuration in common.
    """
    allowed = limits or Limits()
    now = {row.key: row for row in new.rows}
    pairs = [(row, now[row.key]) for row in old.rows if row.key in now]
    if not pairs:
        raise InputError(
            "`compare`: expected configurations that both runs have, found none. Compare runs of the same "
            "models, data, precisions and batch sizes."
        )
    changes: list[Change] = []
    seen: set[tuple[str, ...]] = set()
    for before, after in pairs:
        if before.key[:-2] not in seen:
            seen.add(before.key[:-2])
            changes += _file_changes(before, after, allowed)
        changes += _time_changes(before, after, allowed)
    notes = []
    if old.environment.cpu != new.environment.cpu:
        notes.append(f"the machines differ: {old.environment.cpu} and {new.environment.cpu}")
    if old.images != new.images:
        notes.append(f"accuracy is over {old.images} and {new.images} images")
    return Comparison(
        verdict=Verdict.FAIL if any(c.verdict is Verdict.FAIL for c in changes) else Verdict.PASS,
        changes=tuple(changes),
        missing=tuple(_name(row) for row in old.rows if row.key not in now),
        notes=tuple(notes),
    )


def _name(row: BenchmarkRow, *, full: bool = True) -> str:
    return f"{row.name}, batch {row.batch}, {row.threads} thr." if full else row.name


def _change(name: str, figure: str, old: float, new: float, *, worse: bool) -> Change:
    return Change(
        name=name,
        figure=figure,
        old=old,
        new=new,
        ratio=new / old if old else None,
        verdict=Verdict.FAIL if worse else Verdict.PASS,
    )


def _file_changes(before: BenchmarkRow, after: BenchmarkRow, limits: Limits) -> list[Change]:
    name, found = _name(before, full=False), []
    for figure, points in (("top1", limits.top1_pp), ("agreement", limits.agreement_pp)):
        old, new = getattr(before, figure), getattr(after, figure)
        if old is not None and new is not None:
            # a millionth of a point against rounding
            found.append(_change(name, figure, old, new, worse=100 * (old - new) > points + 1e-6))
    if before.size_bytes and after.size_bytes:
        worse = after.size_bytes > before.size_bytes * limits.size
        found.append(_change(name, "size_bytes", before.size_bytes, after.size_bytes, worse=worse))
    if before.peak_memory_bytes and after.peak_memory_bytes:
        most = max(before.peak_memory_bytes * limits.memory, before.peak_memory_bytes + 8 * _MEBIBYTE)
        found.append(
            _change(
                name,
                "peak_memory_bytes",
                before.peak_memory_bytes,
                after.peak_memory_bytes,
                # the original's memory is its framework's, which is not this project's to keep
                worse=after.peak_memory_bytes > most and after.runtime != "keras",
            )
        )
    return found


def _time_changes(before: BenchmarkRow, after: BenchmarkRow, limits: Limits) -> list[Change]:
    if before.vs_onnx_float is None or after.vs_onnx_float is None or before.runtime == "keras":
        return []
    high = max([before.vs_onnx_float, *(before.vs_onnx_float_interval or ())])
    low = min([after.vs_onnx_float, *(after.vs_onnx_float_interval or ())])
    worse = low > high * limits.time
    return [_change(_name(before), "vs_onnx_float", before.vs_onnx_float, after.vs_onnx_float, worse=worse)]


def comparison_table(comparison: Comparison, *, only: Sequence[Change] | None = None) -> str:
    """The changes as a Markdown table.

    Args:
        comparison: what was found.
        only: these changes; None takes all.
    """
    chosen = comparison.changes if only is None else only
    cells = [
        [
            cell(change.name),
            cell(change.figure),
            _figure(change.old),
            _figure(change.new),
            "" if change.ratio is None else f"{change.ratio:.3f}",
            "pass" if change.verdict is Verdict.PASS else "FAIL",
        ]
        for change in chosen
    ]
    header = ("configuration", "figure", "old", "new", "new / old", "verdict")
    return render_table(header, cells, (False, False, True, True, True, False))


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def comparison_markdown(comparison: Comparison, *, name: str) -> str:
    """The verdict, the figures that fail, and all figures.

    Args:
        comparison: what was found.
        name: of the old run, for the heading.
    """
    failed = comparison.failed
    verdict = (
        f"FAIL: {len(failed)} of {len(comparison.changes)} figures became worse than their limit."
        if failed
        else f"PASS: none of {len(comparison.changes)} figures became worse than its limit."
    )
    lines = [f"## Against {cell(name)}", "", verdict, ""]
    lines += [comparison_table(comparison), ""]
    lines += [f"- {cell(note)}" for note in comparison.notes]
    if comparison.missing:
        lines.append(f"- not measured this time: {len(comparison.missing)} of the old run's configurations")
    return "\n".join(lines).rstrip() + "\n"
