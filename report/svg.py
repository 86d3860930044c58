"""Inline SVG without text: positions in percent, so that a drawing fits any screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mnist_export.report.markup import Html, el
from mnist_export.runtime.timing.figures import Histogram, Latency


def _at(value: float) -> str:
    return f"{min(max(value, 0.0), 100.0):.2f}%"


def _bar(css: str, start: float, end: float, y: float, height: float) -> Html:
    start, end = min(max(start, 0.0), 100.0), min(max(end, 0.0), 100.0)
    return el(
        "rect", class_=css, x=_at(start), y=f"{y:g}%", width=_at(max(end - start, 0.3)), height=f"{height:g}%"
    )


def axis_end(latencies: Sequence[Latency]) -> float:
    """Right end of an axis that shows several latencies, microseconds.

    It holds every p99, unless one is so far out that the medians could no longer be told apart.
    """
    highest = max(p.p99 for p in latencies)
    return min(highest, 2.5 * max(p.p90 for p in latencies)) or 1.0


def latency_bar(latency: Latency, end_us: float) -> Html:
    """Median as a solid bar, then lighter to p90 and to p99; the distribution above it if known.

    Args:
        latency: what to draw.
        end_us: the right end of the axis, microseconds; what lies beyond is cut off.
    """
    scale = 100.0 / end_us
    top, height = (0.0, 100.0) if latency.histogram is None else (56.0, 44.0)
    parts = [
        _bar("p99", latency.p90 * scale, latency.p99 * scale, top + height * 0.3, height * 0.4),
        _bar("p90", latency.p50 * scale, latency.p90 * scale, top + height * 0.15, height * 0.7),
        _bar("p50", 0.0, latency.p50 * scale, top, height),
    ]
    if latency.histogram is not None:
        parts += _bins(latency.histogram, scale)
    css = "bar" if latency.histogram is None else "bar tall"
    title = f"p50 {latency.p50:.1f}, p90 {latency.p90:.1f}, p99 {latency.p99:.1f} microseconds"
    return el("svg", *parts, class_=css, role="img", aria_label=title)


def _bins(histogram: Histogram, scale: float) -> list[Html]:
    highest = max(histogram.counts) or 1
    step = (histogram.hi - histogram.lo) / len(histogram.counts)
    bars = []
    for place, count in enumerate(histogram.counts):
        start = (histogram.lo + place * step) * scale
        if count and start < 100.0:
            height = max(2.0, 52.0 * count / highest)
            bars.append(_bar("bin", start, start + step * scale, 52.0 - height, height))
    return bars


def share_bar(fraction: float, css: str = "share") -> Html:
    """A bar that fills a fraction of its width."""
    return el("svg", _bar(css, 0.0, 100.0 * fraction, 0.0, 100.0), class_="bar thin", aria_hidden="true")


def lines(series: Mapping[str, Sequence[float | None]]) -> tuple[Html, float, float] | None:
    """Several curves over one axis of epochs, with the lowest and the highest value drawn.

    Args:
        series: name to its value in each epoch; None leaves a point out.

    Returns:
        The drawing, its lower and its upper end; None when there is nothing to draw.
    """
    values = [v for curve in series.values() for v in curve if v is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    spread = (high - low) or 1.0
    longest = max(2, *(len(curve) for curve in series.values())) if series else 2
    curves = []
    for place, curve in enumerate(series.values()):
        points = [
            f"{100.0 * epoch / (longest - 1):.2f},{38.0 - 36.0 * (value - low) / spread:.2f}"
            for epoch, value in enumerate(curve)
            if value is not None
        ]
        if len(points) == 1:
            points.append(f"100,{points[0].split(',')[1]}")
        curves.append(el("polyline", points=" ".join(points), class_=f"line s{place % 6}"))
    drawing = el("svg", *curves, class_="chart", viewBox="0 0 100 40", preserveAspectRatio="none", role="img")
    return drawing, low, high
