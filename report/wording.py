"""Figures in words: one place for units, rounding and the sentences of a verdict.

Everything here is ASCII where a terminal may show it; the HTML page asks for its own signs.
"""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Decimal

from mnist_export.core.kinds import Verdict
from mnist_export.parity.comparison import SIGNIFICANCE
from mnist_export.report.schema import ArtifactResult, Report

NOT_MEASURED = "not measured"


def percent(fraction: float | None) -> str:
    """A fraction of 1 as ``99.21 %``; never rounded up to ``100.00 %`` when it is less."""
    if fraction is None:
        return NOT_MEASURED
    value = Decimal(repr(fraction)) * 100
    for digits in ("0.01", "0.001", "0.0001"):
        rounded = value.quantize(Decimal(digits))
        if rounded < 100 or value == 100:
            return f"{rounded} %"
    return f"{value.quantize(Decimal('0.0001'), ROUND_FLOOR)} %"


def points(drop_pp: float | None) -> str:
    """A drop in percentage points with its sign: ``+0.02 pp`` means worse than the reference."""
    if drop_pp is None:
        return NOT_MEASURED
    text = f"{drop_pp:+.2f}"
    return f"{'0.00' if float(text) == 0 else text} pp"


def interval(bounds: tuple[float, float] | None) -> str:
    """An interval of fractions as ``98.95 to 99.34 %``; empty if there is none."""
    if bounds is None:
        return ""
    return f"{percent(bounds[0]).removesuffix(' %')} to {percent(bounds[1])}"


def size(size_bytes: int | None) -> str:
    """Bytes as ``70.5 kB`` (1 kB = 1000 bytes)."""
    if size_bytes is None:
        return NOT_MEASURED
    value = float(size_bytes)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}" if unit == "B" else f"{_three(value)} {unit}"
        value /= 1000
    return f"{_three(value)} GB"


def duration(latency_us: float | None, micro: str = "us") -> str:
    """Microseconds as ``48.3 us``, ``1.20 ms`` or ``2.00 s``.

    Args:
        latency_us: microseconds.
        micro: how to write the unit of microseconds.
    """
    if latency_us is None:
        return NOT_MEASURED
    for limit, factor, unit in ((999.5, 1.0, micro), (999.5e3, 1e-3, "ms"), (math.inf, 1e-6, "s")):
        if latency_us < limit:
            return f"{_three(latency_us * factor)} {unit}"
    return f"{latency_us * 1e-6:g} s"


def seconds(timing_s: float) -> str:
    """Seconds as ``3.2 s`` or ``40 ms``."""
    return f"{timing_s:.1f} s" if timing_s >= 1 else f"{timing_s * 1000:.0f} ms"


def speed(ratio: float | None) -> str:
    """A ratio of times, artifact over reference, as ``2.5x faster`` or ``1.3x slower``."""
    if ratio is None:
        return NOT_MEASURED
    if ratio <= 0:
        return "faster"
    factor = max(ratio, 1 / ratio)
    if f"{factor:.2f}" == "1.00":
        return "equal"
    return f"{_factor(factor)}x {'faster' if ratio < 1 else 'slower'}"


def _factor(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def _three(value: float) -> str:
    """Three significant digits, no exponent."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def number(value: float | int | None, digits: int = 4) -> str:
    """A plain number; integers with thin groups (``61,706``), others to ``digits`` significant digits."""
    if value is None:
        return NOT_MEASURED
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"


def count(amount: int, noun: str, plural: str | None = None) -> str:
    """``1 flip`` and ``2 flips``."""
    return f"{amount:,} {noun if amount == 1 else plural or noun + 's'}"


def label(artifact: ArtifactResult) -> str:
    """Short name of an artifact: ``int8 (qat) tflite``."""
    variant = f" ({artifact.variant})" if artifact.variant else ""
    return f"{artifact.precision}{variant} {artifact.format}"


def significance(mcnemar_p: float | None) -> str:
    """McNemar's p-value as a statement; empty if there is none."""
    if mcnemar_p is None:
        return ""
    shown = "p < 0.0001" if mcnemar_p < 1e-4 else f"p = {mcnemar_p:.2g}"
    if mcnemar_p < SIGNIFICANCE:
        return f"larger than chance explains ({shown})"
    return f"not larger than chance explains ({shown})"


def finding(artifact: ArtifactResult, images: int) -> str:
    """What was found on one artifact, in a sentence."""
    if artifact.value_errors is not None or artifact.original_labels is not None:
        return f"{artifact.name}: {artifact.why}"
    if artifact.agreement is None:
        return artifact.why or f"{artifact.name}: agreement with the original was not measured."
    if artifact.flips == 0:
        text = f"gives the original's answer on all {images:,} images"
    else:
        text = f"gives the original's answer on {percent(artifact.agreement)} of {images:,} images"
    if artifact.top1 is not None:
        text += f"; top-1 {percent(artifact.top1)}"
        if artifact.drop_pp is not None:
            worse = float(f"{artifact.drop_pp:.2f}")
            by = f"{abs(worse):.2f} pp"
            text += ", the same" if worse == 0 else f", {by} {'lower' if worse > 0 else 'higher'}"
    chance = significance(artifact.mcnemar_p)
    return f"{artifact.name} {text}{', ' + chance if chance and artifact.flips else ''}."


def headline(report: Report) -> str:
    """The verdict in a sentence or two."""
    artifacts = report.artifacts
    if not artifacts:
        return "Nothing was judged: no artifact was written."
    failed = [a for a in artifacts if a.verdict is Verdict.FAIL]
    if failed:
        names = ", ".join(a.name for a in failed)
        verb = "does" if len(failed) == 1 else "do"
        whys = " ".join(dict.fromkeys(_sentence(a.why) for a in failed if a.why))
        return f"{names} {verb} not pass. {whys}".rstrip()
    if report.verdict is Verdict.FAIL:
        return "The run fails, although each of its artifacts passes; see the notes."
    if len(artifacts) == 1:
        return finding(artifacts[0], report.data.images)
    return f"{_all_pass(report)} {between(report)}".rstrip()


def between(report: Report) -> str:
    """What artifacts that quantize alike have in common, in a sentence; empty where there are no two."""
    pairs = report.pairs
    parted = [pair for pair in pairs if pair.differing]
    if not pairs:
        return ""
    if not parted:
        named = {name for pair in pairs for name in (pair.first, pair.second)}
        whose = "Their" if len(named) == len(report.artifacts) else f"{_listed(sorted(named))}: their"
        what = "values" if report.head == "values" else "logits"
        return f"{whose} {what} are equal, bit for bit."
    what = "values" if report.head == "values" else "logits"
    return " ".join(
        f"{pair.differing:,} of {pair.logits:,} {what} differ between {pair.first} and {pair.second}, by "
        f"{count(pair.max_steps, 'step')} at most."
        for pair in parted
    )


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _all_pass(report: Report) -> str:
    artifacts, images = report.artifacts, f"{report.data.images:,} images"
    subject = "Both files" if len(artifacts) == 2 else f"All {len(artifacts)} files"
    if report.head != "classes":
        return f"{subject} pass. " + " ".join(f"{a.name}: {_sentence(a.why)}" for a in artifacts)
    measured = [a for a in artifacts if a.agreement is not None and a.drop_pp is not None]
    if not measured:
        return f"{subject} were written; agreement with the original was not measured."
    left = len(artifacts) - len(measured)
    rest = f" {left} of them {'was' if left == 1 else 'were'} not compared with it." if left else ""
    if all(a.flips == 0 for a in measured):
        return f"{subject} pass: they give the original's answer on all {images}.{rest}"
    worst = min(a.agreement for a in measured if a.agreement is not None)
    drop = max(a.drop_pp for a in measured if a.drop_pp is not None)
    lost = "lose no accuracy" if float(f"{drop:.2f}") <= 0 else f"lose at most {drop:.2f} pp of top-1"
    share = f"at least {percent(worst)} of {images}"
    return f"{subject} pass: they give the original's answer on {share} and {lost}.{rest}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."
