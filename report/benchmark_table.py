"""A benchmark as Markdown: one table for files, one for throughput, the machine beside them."""

from __future__ import annotations

from collections.abc import Sequence

from mnist_export.report.benchmark import Benchmark, BenchmarkRow
from mnist_export.report.markdown import render_table
from mnist_export.report.text import cell, clean
from mnist_export.report.wording import NOT_MEASURED, count, duration, interval, percent, points, size

_FILES = (
    "model", "precision", "runtime", "size", "top-1", "95 % interval", "drop", "agreement", "p50", "p90",
    "p99", "x original", "x ONNX float", "load", "first answer", "memory", "live values", "arena",
)  # fmt: skip
_FILES_RIGHT = (False, False, False, *([True] * 15))

_MEMORY = (
    "Live values: the most bytes inside of a .tflite that are needed at once for one image; no arena of "
    "TFLite Micro can be smaller. Arena: LiteRT's with its built-in kernels; XNNPACK, which was timed, "
    "keeps its own memory.",
    "",
)


def _name(row: BenchmarkRow) -> list[str]:
    variant = f" ({row.variant})" if row.variant else ""
    return [cell(row.model), cell(row.precision + variant), cell(row.runtime)]


def ratio(value: float | None) -> str:
    """A ratio of times as ``0.68``; under 1 is faster."""
    return "" if value is None else f"{value:.2f}" if value < 9.995 else f"{value:.0f}"


def files_table(rows: Sequence[BenchmarkRow]) -> str:
    """Accuracy, size, latency at the smallest batch and start-up, a row for each file."""
    smallest, threads = min(row.batch for row in rows), min(row.threads for row in rows)
    chosen = [row for row in rows if row.batch == smallest and row.threads == threads]
    cells = [
        [
            *_name(row),
            _known(size(row.size_bytes)),
            _known(percent(row.top1)),
            interval(row.top1_interval),
            _known(points(row.drop_pp)) if row.drop_pp is not None else "",
            _known(percent(row.agreement)),
            *(
                duration(value)
                for value in (
                    (row.latency_us.p50, row.latency_us.p90, row.latency_us.p99)
                    if row.latency_us
                    else (None, None, None)
                )
            ),
            ratio(row.vs_original),
            ratio(row.vs_onnx_float),
            _milliseconds(row.load_ms),
            _milliseconds(row.first_inference_ms),
            _known(size(row.peak_memory_bytes)),
            _known(size(row.live_tensor_peak_bytes)),
            _known(size(row.arena_bytes)),
        ]
        for row in chosen
    ]
    return render_table(_FILES, cells, _FILES_RIGHT)


def throughput_table(rows: Sequence[BenchmarkRow]) -> str:
    """Images per second, a row for each file and number of threads, a column for each batch size."""
    batches = sorted({row.batch for row in rows})
    lines: dict[tuple[str, ...], dict[int, BenchmarkRow]] = {}
    for row in rows:
        lines.setdefault((*_name(row), str(row.threads)), {})[row.batch] = row
    header = ["model", "precision", "runtime", "threads", *(f"batch {batch}" for batch in batches)]
    cells = [[*name, *(_speed(found.get(batch)) for batch in batches)] for name, found in lines.items()]
    return render_table(header, cells, [False, False, False, True, *([True] * len(batches))])


def _speed(row: BenchmarkRow | None) -> str:
    if row is None or row.images_per_second is None:
        return ""
    over = f" ({ratio(row.vs_onnx_float)})" if row.vs_onnx_float is not None else ""
    return f"{row.images_per_second:,.0f}{over}"


def _milliseconds(value: float | None) -> str:
    return "" if value is None else duration(value * 1e3)


def _known(text: str) -> str:
    return "" if text == NOT_MEASURED else text


def benchmark_markdown(benchmark: Benchmark, plots: Sequence[str] = ()) -> str:
    """The whole page.

    Args:
        benchmark: the figures.
        plots: file names of pictures, relative to the page.
    """
    machine = benchmark.environment
    data = ", ".join(dict.fromkeys(cell(row.data) for row in benchmark.rows if row.data))
    images = f"{benchmark.images:,} images" if benchmark.images else ""
    versions = ", ".join(f"{clean(name)} {clean(text)}" for name, text in machine.versions.items())
    lines = [
        "# Benchmark",
        "",
        f"{data}{', ' if data and images else ''}{images}. {cell(machine.cpu)}, {machine.cores} processors. "
        "Times are those of this machine; ratios (x, under 1 is faster) are medians over turns that were "
        "taken one after another, so they travel; for calls of over half a millisecond on one thread they "
        "are ratios of processor time.",
        "",
        "## Files",
        "",
        f"Latency at batch {min(row.batch for row in benchmark.rows)} on "
        f"{count(min(row.threads for row in benchmark.rows), 'thread')}.",
        "",
        files_table(benchmark.rows),
        "",
        *(_MEMORY if any(row.live_tensor_peak_bytes for row in benchmark.rows) else ()),
        "## Images per second",
        "",
        "In brackets: time over that of the float32 ONNX file in ONNX Runtime.",
        "",
        throughput_table(benchmark.rows),
        "",
    ]
    lines += [f"![{cell(name)}]({name})" for name in plots] + ([""] if plots else [])
    lines += [f"- {cell(note)}" for note in benchmark.notes] + ([""] if benchmark.notes else [])
    lines += [f"Versions: {versions}.", ""]
    if benchmark.command:
        lines += ["```sh", clean(benchmark.command), "```", ""]
    return "\n".join(lines)
