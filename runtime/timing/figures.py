"""What a measurement of time gives: percentiles, their distribution, ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from mnist_export.core.errors import InputError
from mnist_export.core.record import Interval, Record, check_interval


@dataclass(frozen=True, kw_only=True)
class Histogram(Record):
    """Counts in equal bins between two latencies; what is above ``hi`` is counted apart.

    Attributes:
        lo: left edge of the first bin, microseconds.
        hi: right edge of the last bin, microseconds.
        counts: measurements in each bin.
        above: measurements above ``hi``.
    """

    lo: float
    hi: float
    counts: tuple[int, ...]
    above: int = 0

    def _check(self) -> None:
        if self.hi <= self.lo or not self.counts or min(self.counts) < 0 or self.above < 0:
            raise InputError("Histogram: expected lo < hi and counts of 0 or more in at least one bin.")

    @classmethod
    def of(cls, samples_us: Sequence[float], *, bins: int = 40) -> Histogram:
        """Count latencies in ``bins`` equal bins from the smallest to a fifth above the 99th percentile.

        Args:
            samples_us: latencies in microseconds, at least one, finite.
            bins: number of bins.

        Raises:
            InputError: there are no samples.
        """
        ordered = sorted(float(s) for s in samples_us)
        if not ordered:
            raise InputError("Histogram: expected at least one latency, found none.")
        lo = ordered[0]
        p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
        hi = max(lo + (p99 - lo) * 1.2, lo * 1.001, lo + 1e-3)
        counts = [0] * bins
        above = 0
        for sample in ordered:
            if sample > hi:
                above += 1
            else:
                counts[min(bins - 1, int((sample - lo) / (hi - lo) * bins))] += 1
        return cls(lo=lo, hi=hi, counts=tuple(counts), above=above)


@dataclass(frozen=True, kw_only=True)
class Latency(Record):
    """Percentiles of the time of one call, microseconds.

    Attributes:
        p50: median.
        p90: 90th percentile.
        p99: 99th percentile.
        p50_interval: 95 % interval of the median, if one was computed.
        runs: timed calls.
        batch: images of one call.
        histogram: the distribution, if it was kept.
        p90_interval: as `p50_interval`; this and what follows is not part of the JSON form.
        p99_interval: the same.
        warmup_runs: calls before the timed ones.
        stable: whether the warm-up ended in stable times.
        pinned: whether the process was held on fixed processors.
    """

    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("p50", "runs", "batch")

    p50: float
    p90: float
    p99: float
    p50_interval: Interval | None = None
    runs: int | None = None
    batch: int | None = None
    histogram: Histogram | None = None
    p90_interval: Interval | None = field(default=None, repr=False, compare=False)
    p99_interval: Interval | None = field(default=None, repr=False, compare=False)
    warmup_runs: int = field(default=0, repr=False, compare=False)
    stable: bool = field(default=True, repr=False, compare=False)
    pinned: bool = field(default=False, repr=False, compare=False)

    def _check(self) -> None:
        if not self.p50 <= self.p90 <= self.p99:
            raise InputError(
                f"Latency: expected p50 <= p90 <= p99, found {self.p50:g}, {self.p90:g}, {self.p99:g}."
            )
        check_interval(self.p50_interval, "Latency.p50_interval")


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Time of one runner over the baseline's, from interleaved turns.

    Attributes:
        ratio: median over the rounds of the quotient of the turns' medians; under 1 is faster.
        interval: 95 % bootstrap interval of that median.
        rounds: how many quotients.
    """

    ratio: float
    interval: Interval
    rounds: int
