"""From what the runtime room measured to the rows of a benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mnist_export.parity.versions import Measured
from mnist_export.report.benchmark import BenchmarkRow
from mnist_export.runtime.bench.measuring import Point
from mnist_export.runtime.timing.figures import Ratio

ORIGINAL: Final = "original"
ONNX_FLOAT: Final = "float32 onnx"


def rows_of(model: str, data: str, measured: Sequence[Measured]) -> tuple[BenchmarkRow, ...]:
    """A row for each target, batch size and number of threads.

    Args:
        model: the model's name.
        data: the data set's name.
        measured: the original's target is named `ORIGINAL`, the ONNX float file's `ONNX_FLOAT`.
    """
    return tuple(_row(model, data, found, point) for found in measured for point in found.points)


def _row(model: str, data: str, found: Measured, point: Point) -> BenchmarkRow:
    opened, parity = found.opened, found.parity
    name = found.target.name
    original = point.ratios.get(ORIGINAL)
    onnx_float = point.ratios.get(ONNX_FLOAT)
    return BenchmarkRow(
        model=model,
        data=data,
        runtime=str(opened["runtime"]),
        format=str(opened["format"]),
        device=str(opened["device"]),
        precision=str(opened["precision"]),
        variant=found.target.variant or str(opened["variant"]),
        batch=point.batch,
        threads=point.threads,
        top1=parity.top1,
        top1_interval=parity.top1_interval,
        agreement=parity.agreement,
        agreement_interval=parity.agreement_interval,
        drop_pp=parity.drop_pp,
        flips=len(parity.flips),
        size_bytes=opened["size_bytes"] or None,
        sha256=opened["sha256"] or None,
        latency_us=point.latency_us,
        images_per_second=point.images_per_second,
        vs_original=1.0 if name == ORIGINAL else _ratio(original),
        vs_original_interval=_interval(original),
        vs_onnx_float=1.0 if name == ONNX_FLOAT else _ratio(onnx_float),
        vs_onnx_float_interval=_interval(onnx_float),
        load_ms=opened["load_ms"],
        first_inference_ms=opened["first_inference_ms"],
        peak_memory_bytes=opened["peak_memory_bytes"] or None,
        library_memory_bytes=opened["library_memory_bytes"] or None,
        arena_bytes=opened.get("arena_bytes"),
        live_tensor_peak_bytes=opened.get("live_tensor_peak_bytes"),
        notes=tuple(opened["notes"]),
    )


def _ratio(ratio: Ratio | None) -> float | None:
    return ratio.ratio if ratio else None


def _interval(ratio: Ratio | None) -> tuple[float, float] | None:
    return ratio.interval if ratio else None
