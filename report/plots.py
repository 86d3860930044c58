"""Plots of a benchmark as PNG bytes: accuracy over size, latency bars, throughput over batch."""

from __future__ import annotations

import io
import statistics
from collections.abc import Sequence
from typing import Any

from mnist_export.core.errors import InputError, MissingExtraError
from mnist_export.report.benchmark import Benchmark, BenchmarkRow
from mnist_export.report.wording import count, duration

_MARKERS = "osD^vPX*"
_DPI = 130
MICRO = "\u00b5s"


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A figure with one pair of axes that needs no display."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "convert", "Drawing plots") from error
    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, alpha=0.25)
    axes.set_axisbelow(True)
    return figure, axes


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    # Without the version of matplotlib in it, the same figures give the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _plain_ticks(axis: Any) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5, written as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def _some(rows: list[BenchmarkRow], plot: str, needed: str) -> list[BenchmarkRow]:
    if not rows:
        raise InputError(f"{plot}: expected rows with {needed}, found none. Measure them first.")
    return rows


def accuracy_over_size(rows: Sequence[BenchmarkRow]) -> bytes:
    """Top-1 in percent, with its interval, over file size in kB, logarithmic; one point a file, PNG.

    Raises:
        InputError: no row has both figures.
        MissingExtraError: matplotlib is not installed.
    """
    files: dict[tuple[object, ...], BenchmarkRow] = {}
    for row in rows:
        if row.top1 is not None and row.size_bytes:
            files.setdefault((row.name, row.top1, row.size_bytes), row)
    known = _some(list(files.values()), "accuracy over size", "top1 and size_bytes")
    figure, axes = _figure(8.0, 4.8)
    models = list(dict.fromkeys(row.model for row in known))
    for place, row in enumerate(known):
        top1, size_bytes = row.top1 or 0.0, row.size_bytes or 0
        marker = _MARKERS[models.index(row.model) % len(_MARKERS)]
        # Hollow and of different sizes, so that files at the same place stay visible.
        style = {"fillstyle": "none", "markeredgewidth": 2, "markersize": 8 + 4 * (place % 3)}
        if row.top1_interval is not None:
            ends = [100 * end for end in row.top1_interval]
            axes.plot([size_bytes / 1000] * 2, ends, "-", color=f"C{place % 10}", alpha=0.25)
        axes.plot(size_bytes / 1000, top1 * 100, marker, color=f"C{place % 10}", label=row.name, **style)
    axes.set_xscale("log")
    _plain_ticks(axes.xaxis)
    axes.set_xlabel("file size, kB (logarithmic)")
    axes.set_ylabel("top-1, %, and its 95 % interval")
    axes.set_title("Accuracy over size")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, labelspacing=1.1)
    return _png(figure)


def latency_bars(rows: Sequence[BenchmarkRow]) -> bytes:
    """Median latency at the smallest batch size, with a whisker to the 99th percentile, PNG.

    A bar over three times the others' median runs off the axis, and a whisker that is too long ends at it, so
    that the rest can be compared; every bar carries its figures.

    Raises:
        InputError: no row has a latency.
        MissingExtraError: matplotlib is not installed.
    """
    known = _some([row for row in rows if row.latency_us is not None], "latency bars", "latency_us")
    smallest = min(row.batch for row in known)
    bars = [(row, row.latency_us) for row in known if row.batch == smallest and row.latency_us]
    middle = statistics.median(times.p50 for _, times in bars)
    limit = 1.7 * max(times.p50 for _, times in bars if times.p50 <= 3 * middle)
    figure, axes = _figure(8.0, 1.4 + 0.38 * len(bars))
    for place, (_, times) in enumerate(bars):
        end = min(times.p99, limit)
        axes.barh(place, min(times.p50, limit), color="#2458c5")
        if times.p50 > limit:
            axes.plot(0.97 * limit, place, ">", color="white", markersize=8)
        elif end > times.p50:
            axes.plot([times.p50, end], [place, place], color="#8a94a6")
            axes.plot(end, place, "|" if times.p99 <= limit else ">", color="#8a94a6", markersize=8)
        figures = f"{duration(times.p50, MICRO)} (p99 {duration(times.p99, MICRO)})"
        axes.annotate(figures, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=8)
    threads = sorted({row.threads for row, _ in bars})
    axes.set_yticks(range(len(bars)), [_with_threads(row, threads) for row, _ in bars])
    axes.invert_yaxis()
    axes.set_xlim(0, limit)
    axes.set_xlabel("latency of one call, \u00b5s: median, whisker to the 99th percentile")
    axes.set_title(f"Latency at batch {smallest}")
    return _png(figure)


def _with_threads(row: BenchmarkRow, threads: Sequence[int]) -> str:
    return row.name if len(threads) == 1 else f"{row.name}, {count(row.threads, 'thread')}"


def throughput_over_batch(rows: Sequence[BenchmarkRow]) -> bytes:
    """Images per second over batch size, both logarithmic, a curve for each configuration, PNG.

    Raises:
        InputError: no row has a throughput.
        MissingExtraError: matplotlib is not installed.
    """
    known = _some(
        [row for row in rows if row.images_per_second], "throughput over batch", "images_per_second"
    )
    threads = sorted({row.threads for row in known})
    curves: dict[str, list[tuple[int, float]]] = {}
    for row in known:
        curves.setdefault(_with_threads(row, threads), []).append((row.batch, row.images_per_second or 0.0))
    figure, axes = _figure(8.0, 4.8)
    for place, (name, points) in enumerate(curves.items()):
        points.sort()
        marker = _MARKERS[place % len(_MARKERS)]
        axes.plot(*zip(*points, strict=True), marker + "-", label=name, color=f"C{place % 10}")
    batches = sorted({row.batch for row in known})
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    _plain_ticks(axes.yaxis)
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.set_xlabel("batch size")
    axes.set_ylabel("images per second (logarithmic)")
    axes.set_title("Throughput over batch")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return _png(figure)


def benchmark_plots(benchmark: Benchmark) -> dict[str, bytes]:
    """Every plot that the benchmark has figures for: file name without extension to PNG bytes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    rows = benchmark.rows
    plots: dict[str, bytes] = {}
    if any(row.top1 is not None and row.size_bytes for row in rows):
        plots["accuracy-over-size"] = accuracy_over_size(rows)
    if any(row.latency_us is not None for row in rows):
        plots["latency"] = latency_bars(rows)
    if any(row.images_per_second for row in rows):
        plots["throughput-over-batch"] = throughput_over_batch(rows)
    return plots
