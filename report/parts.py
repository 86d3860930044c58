"""The parts of a report that describe one artifact: latency, logits, flips, layers, audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.report.codec import Record

Interval = tuple[float, float]
Matrix = tuple[tuple[int, ...], ...]


def check_interval(interval: Interval | None, where: str) -> None:
    """Refuse an interval whose ends are swapped."""
    if interval is not None and interval[0] > interval[1]:
        raise InputError(f"{where}: expected [low, high], found {list(interval)}.")


def check_matrix(matrix: Matrix | None, where: str) -> None:
    """Refuse a confusion matrix that is not square or holds negative counts."""
    if matrix is None:
        return
    if any(len(row) != len(matrix) for row in matrix) or any(count < 0 for row in matrix for count in row):
        raise InputError(f"{where}: expected a square table of counts of 0 or more.")


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
class Percentiles(Record):
    """Latency of one call, microseconds.

    Attributes:
        p50: median.
        p90: 90th percentile.
        p99: 99th percentile.
        p50_interval: confidence interval of the median, if one was computed.
        runs: number of measurements.
        batch: images in each call.
        histogram: the distribution, if it was kept.
    """

    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("p50", "runs", "batch")

    p50: float
    p90: float
    p99: float
    p50_interval: Interval | None = None
    runs: int | None = None
    batch: int | None = None
    histogram: Histogram | None = None

    def _check(self) -> None:
        if not self.p50 <= self.p90 <= self.p99:
            raise InputError(
                f"Percentiles: expected p50 <= p90 <= p99, found {self.p50:g}, {self.p90:g}, {self.p99:g}."
            )
        check_interval(self.p50_interval, "Percentiles.p50_interval")


@dataclass(frozen=True, kw_only=True)
class LogitsError(Record):
    """How far the logits are from the reference's.

    Attributes:
        max_abs_error: largest absolute difference, in the logits' real units; None if not finite.
        sqnr_db: signal to quantization noise ratio in decibels; None when not measured, and when
            the logits are equal, where it is infinite (``max_abs_error`` is then 0).
        mean_abs_error: mean absolute difference, real units.
        max_error_steps: the largest difference in steps of the output's scale.
        compared: number of logits compared.
        different: number of logits that differ at all.
    """

    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = (
        "max_abs_error", "mean_abs_error", "max_error_steps", "compared", "different",
    )  # fmt: skip

    max_abs_error: float | None = None
    sqnr_db: float | None = None
    mean_abs_error: float | None = None
    max_error_steps: float | None = None
    compared: int | None = None
    different: int | None = None


@dataclass(frozen=True, kw_only=True)
class LayerError(Record):
    """Difference between reference and artifact after one layer.

    Attributes:
        name: the layer's name.
        operator: its operator or class.
        max_error_steps: largest difference in steps of the layer's output scale.
        max_abs_error: largest difference, real units.
        sqnr_db: decibels at its output, the errors that reach it from the layers before included
            (propagated); None when not measured or infinite.
        own_sqnr_db: decibels at its output when this layer alone is quantized and all others stay in
            float: what it adds itself; None when not measured or infinite.
        alone_sqnr_db: decibels at the logits when this layer alone is quantized; None as above.
        observed: smallest and largest value at its output in the float network, real units.
        saturation: share of those values outside of what its output can represent, a fraction of 1.
        worst_channel_steps: root mean square difference of the worst channel, in steps; where it was
            measured, the budget is for it, else for the largest difference.
        budget_steps: the difference that is allowed, in steps.
        exceeds: whether it is above its budget.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("saturation",)
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = (
        "max_error_steps",
        "max_abs_error",
        "worst_channel_steps",
        "budget_steps",
    )

    name: str
    operator: str = ""
    max_error_steps: float | None = None
    max_abs_error: float | None = None
    sqnr_db: float | None = None
    worst_channel_steps: float | None = None
    budget_steps: float | None = None
    exceeds: bool = False
    own_sqnr_db: float | None = None
    alone_sqnr_db: float | None = None
    observed: Interval | None = None
    saturation: float | None = None

    def _check(self) -> None:
        check_interval(self.observed, "LayerError.observed")


@dataclass(frozen=True, kw_only=True)
class Audit(Record):
    """What the written file holds.

    Attributes:
        operators: operator name to how often it occurs.
        weight_bytes: number type to bytes of constants of that type.
        float_operators: operators that compute in float in a file that should be integer.
        notes: further remarks.
    """

    operators: dict[str, int]
    weight_bytes: dict[str, int]
    float_operators: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CertifiedLayer(Record):
    """One row of a certificate.

    Attributes:
        name: the layer's name.
        holds: whether the layer is exact by the certificate's rule.
        accumulator_bound: largest absolute accumulator that any input can cause.
        text: what was found, such as the exponent or the first channel that fails.
    """

    name: str
    holds: bool
    accumulator_bound: int | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Certificate(Record):
    """The certificate of exactness computed from the written file.

    Attributes:
        verdict: whether it holds for every layer.
        text: the finding in a sentence.
        layers: row by layer.
    """

    verdict: Verdict
    text: str = ""
    layers: tuple[CertifiedLayer, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Compression(Record):
    """What pruning and clustering left in the file.

    Attributes:
        sparsity: fraction of weights that are zero.
        distinct_weights: layer name to number of distinct weight values.
        size_gzip_bytes: the file's size after gzip.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("sparsity",)
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("size_gzip_bytes",)

    sparsity: float | None = None
    distinct_weights: dict[str, int] | None = None
    size_gzip_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Check(Record):
    """One named check of an artifact, a test case in JUnit's terms.

    Attributes:
        name: such as ``"top-1 drop"``.
        verdict: its outcome.
        why: what was found, against what was expected.
    """

    name: str
    verdict: Verdict
    why: str = ""
