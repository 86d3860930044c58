"""How long one answer takes, and how that compares: percentiles, and ratios of interleaved pairs.

What is timed is a runner on a prepared batch: setting the input, computing, fetching the output, as a
user pays for it. Absolute times belong beside their machine; ratios of one run travel.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.statistics import bootstrap_interval, percentile_interval
from mnist_export.runtime.runners.clock import time_block
from mnist_export.runtime.runners.runner import Runner
from mnist_export.runtime.timing.figures import Latency, Ratio

_BLOCK_NS: Final = 2_000_000  # one runner's turn: long against a switch, short against a drift of the clock


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long to measure.

    Attributes:
        min_time_s: least time spent on each runner, after warm-up.
        min_runs: least timed invocations of each runner.
        min_rounds: least turns of each runner; each gives one ratio.
        max_time_s: most time spent on each runner, over both other limits.
        max_warmup_s: most time to wait for stable times.
        long_call_ms: where any call takes longer than this, `min_runs` is left aside.
    """

    min_time_s: float = 0.5
    min_runs: int = 100
    min_rounds: int = 15
    max_time_s: float = 20.0
    max_warmup_s: float = 1.0
    long_call_ms: float = 50.0

    def __post_init__(self) -> None:
        """Refuse an effort that measures nothing."""
        if not (0 <= self.min_time_s <= self.max_time_s < 3600) or self.min_runs < 1 or self.min_rounds < 1:
            raise InputError(f"latency: expected positive limits with min <= max, found {self}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Interleaved:
    """Latencies of several runners measured in turns.

    Attributes:
        baseline: the name that the ratios are over.
        latencies: by name.
        ratios: by name, without the baseline.
        samples_us: all timed invocations by name, for histograms.
        medians_ns: median of each turn by name, shape (rounds,); round i of all names was one state of the
            machine.
    """

    baseline: str
    latencies: Mapping[str, Latency]
    ratios: Mapping[str, Ratio]
    samples_us: Mapping[str, npt.NDArray[np.float64]]
    medians_ns: Mapping[str, npt.NDArray[np.float64]]

    def ratio(self, name: str, over: str) -> Ratio:
        """The ratio of any two of the names."""
        return ratio_of(self.medians_ns[name], self.medians_ns[over])


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One model that is ready to be timed.

    Attributes:
        take: makes that many calls and gives the time of each, int64 nanoseconds.
        warmup_runs: calls that were made to warm up.
        stable: whether the warm-up ended in stable times.
        single_ns: about how long one call takes.
        cpu_ns: processor time of one call, nanoseconds, a value for each turn taken; empty where unknown.
    """

    take: Callable[[int], npt.NDArray[np.int64]]
    warmup_runs: int
    stable: bool
    single_ns: int
    cpu_ns: list[float] = field(default_factory=list)


@contextlib.contextmanager
def pinned(threads: int = 1) -> Iterator[bool]:
    """Hold the process on as many processors as it has threads, where the system allows.

    Threads that a runtime started before stay where they were, so open runners inside.

    Args:
        threads: processors to hold.

    Yields:
        Whether the process was pinned.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield False
        return
    before = os.sched_getaffinity(0)
    # the last processors: the first ones serve the system's interrupts
    chosen = set(sorted(before)[-threads:])
    try:
        os.sched_setaffinity(0, chosen)
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _quiet_collector() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def warm_up(
    call: Callable[[npt.NDArray[Any]], Any], batch: npt.NDArray[Any], *, limit_s: float
) -> tuple[int, bool, int]:
    """Call until the median of a turn changes by under 5 % in three turns running.

    Args:
        call: what will be timed.
        batch: its argument.
        limit_s: most time to spend.

    Returns:
        Calls made, whether the times became stable, and nanoseconds of one call.
    """
    call(batch)
    single = max(1, int(time_block(call, batch, 1)[0]))
    calls, steady, previous = 2, 0, float(single)
    deadline = time.perf_counter() + limit_s
    while steady < 3:
        count = max(1, min(500, int(_BLOCK_NS / max(previous, 1))))
        median = float(np.median(time_block(call, batch, count)))
        calls += count
        steady = steady + 1 if abs(median - previous) <= 0.05 * previous else 0
        previous = median
        if time.perf_counter() > deadline:
            break
    return calls, steady >= 3, max(1, int(previous))


def measure(runner: Runner, images: npt.NDArray[np.uint8], *, effort: Effort | None = None) -> Latency:
    """Measure one runner on a batch.

    Args:
        runner: what to time.
        images: uint8 (batch, H, W, C), the batch that each invocation gets.
        effort: how long to measure.
    """
    return measure_interleaved({runner.label: runner}, images, effort=effort).latencies[runner.label]


def measure_interleaved(
    runners: Mapping[str, Runner],
    images: npt.NDArray[np.uint8],
    *,
    baseline: str | None = None,
    effort: Effort | None = None,
    pin: bool = False,
) -> Interleaved:
    """Measure several runners in turns of about 2 ms, so that each round sees one state of the machine.

    Args:
        runners: by name.
        images: uint8 (batch, H, W, C), the batch that each invocation gets.
        baseline: what the ratios are over; None takes the first.
        effort: how long to measure.
        pin: hold the process on as many processors as the runners have threads.

    Raises:
        InputError: no runners, or a baseline that is not among them.
    """
    if not runners:
        raise InputError("latency: expected at least one runner, found none.")
    over = baseline or next(iter(runners))
    if over not in runners:
        raise InputError(f"latency: the baseline '{over}' is not among {', '.join(runners)}.")
    limits = effort or Effort()
    batches = {name: runner.prepare(images) for name, runner in runners.items()}
    threads = max(runner.threads for runner in runners.values())
    with pinned(threads) if pin else contextlib.nullcontext(False) as held, _quiet_collector():
        turns = {
            name: turn_of(runner, batches[name], limit_s=limits.max_warmup_s)
            for name, runner in runners.items()
        }
        return interleave(turns, baseline=over, limits=limits, batch=len(images), held=held)


def turn_of(runner: Runner, batch: npt.NDArray[Any], *, limit_s: float) -> Turn:
    """Warm a runner up for its turns in this process.

    Args:
        runner: what is timed.
        batch: from its `Runner.prepare`.
        limit_s: most time to spend on the warm-up.
    """
    runs, stable, single_ns = warm_up(runner.prepared_call(batch), batch, limit_s=limit_s)
    return Turn(take=runner.timed_calls(batch), warmup_runs=runs, stable=stable, single_ns=single_ns)


def interleave(
    turns: Mapping[str, Turn], *, baseline: str, limits: Effort, batch: int = 1, held: bool = False
) -> Interleaved:
    """Take turns of about 2 ms until the limits are met.

    Where the calls run, in this process or in others, is the turns' own affair.

    Args:
        turns: by name, warmed up.
        baseline: what the ratios are over, one of the names.
        limits: how long to measure.
        batch: images of one call, for the record.
        held: whether processes were pinned, for the record.
    """
    counts = {name: max(1, min(2000, _BLOCK_NS // turn.single_ns)) for name, turn in turns.items()}
    blocks = _rounds(turns, counts, limits)
    samples = {name: np.concatenate(found) / 1e3 for name, found in blocks.items()}
    medians = {name: np.array([np.median(block) for block in found]) for name, found in blocks.items()}
    latencies = {
        name: _latency(values, turns[name], batch=batch, pinned=held) for name, values in samples.items()
    }
    ratios = {name: ratio_of(medians[name], medians[baseline]) for name in turns if name != baseline}
    return Interleaved(
        baseline=baseline, latencies=latencies, ratios=ratios, samples_us=samples, medians_ns=medians
    )


def _rounds(
    turns: Mapping[str, Turn], counts: Mapping[str, int], limits: Effort
) -> dict[str, list[npt.NDArray[np.int64]]]:
    blocks: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in turns}
    names = list(turns)
    long = any(turn.single_ns > limits.long_call_ms * 1e6 for turn in turns.values())
    least_runs = 1 if long else limits.min_runs
    started = time.perf_counter()
    for number in range(1_000_000):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            blocks[name].append(turns[name].take(counts[name]))
        elapsed = (time.perf_counter() - started) / len(names)
        runs = min(len(found) * counts[name] for name, found in blocks.items())
        enough = elapsed >= limits.min_time_s and runs >= least_runs and number + 1 >= limits.min_rounds
        if enough or elapsed >= limits.max_time_s:
            break
    return blocks


def ratio_of(candidate: npt.NDArray[Any], baseline: npt.NDArray[Any]) -> Ratio:
    """The median quotient of paired turns.

    Args:
        candidate: shape (rounds,), a time a round.
        baseline: shape (rounds,), of the same rounds.
    """
    quotients = np.asarray(candidate, np.float64) / np.asarray(baseline, np.float64)
    interval = bootstrap_interval(quotients, lambda draws: np.median(draws, axis=-1))
    return Ratio(ratio=float(np.median(quotients)), interval=interval, rounds=len(quotients))


def _latency(values: npt.NDArray[np.float64], turn: Turn, *, batch: int, pinned: bool) -> Latency:
    p50, p90, p99 = (float(value) for value in np.percentile(values, [50, 90, 99]))
    return Latency(
        p50=p50,
        p90=p90,
        p99=p99,
        p50_interval=percentile_interval(values, 50),
        p90_interval=percentile_interval(values, 90),
        p99_interval=percentile_interval(values, 99),
        runs=len(values),
        warmup_runs=turn.warmup_runs,
        batch=batch,
        stable=turn.stable,
        pinned=pinned,
    )
