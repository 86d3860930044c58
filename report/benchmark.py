"""Rows of a benchmark: models by runtimes by precisions by batch sizes, and their JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnist_export.core.errors import InputError
from mnist_export.core.record import Interval, Record
from mnist_export.report.codec import decode_json, encode_json
from mnist_export.runtime.environment import Environment
from mnist_export.runtime.timing.figures import Latency

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class BenchmarkRow(Record):
    """One measured configuration.

    Attributes:
        model: such as ``"lenet5"``.
        runtime: such as ``"litert"``.
        precision: such as ``"int8"``.
        variant: such as ``"qat"``.
        batch: images in each call.
        threads: threads of the runtime.
        top1: fraction of test images classified correctly.
        agreement: fraction of images where it predicts what the original predicts.
        size_bytes: size of the file.
        latency_us: of one call, microseconds.
        images_per_second: throughput at this batch size.
        vs_original: time of a call over the original's, interleaved in one run; of calls over half a
            millisecond on one thread it is the processor time, which other load changes less.
        peak_memory_bytes: growth of resident memory, the runtime's own library included, up to its peak.
        data: name of the data set that it was judged on.
        format: such as ``"onnx"``; ``"keras"`` for the original.
        device: such as ``"CPU"``.
        sha256: hex hash of the file.
        top1_interval: 95 % Wilson interval.
        agreement_interval: 95 % Wilson interval.
        drop_pp: top-1 of the original minus this one's, percentage points.
        flips: images whose label differs from the original's.
        vs_original_interval: 95 % bootstrap interval of the ratio.
        vs_onnx_float: the same over the float32 .onnx file in ONNX Runtime.
        vs_onnx_float_interval: 95 % bootstrap interval of the ratio.
        load_ms: milliseconds from the file to a runtime that can answer, its library imported before.
        first_inference_ms: milliseconds from nothing imported to the first answer.
        library_memory_bytes: the part of the memory that the runtime's library takes without a model.
        arena_bytes: of a .tflite: LiteRT's arena for one image with its built-in kernels, with their scratch
            memory and without weights. XNNPACK, which the times are measured with, keeps its own memory.
        live_tensor_peak_bytes: of a .tflite: most bytes of values that are needed at once for one image; a
            lower bound for the arena of TFLite Micro.
        notes: what a reader should know.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("top1", "agreement")
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = (
        "size_bytes", "images_per_second", "vs_original", "vs_onnx_float", "peak_memory_bytes",
        "library_memory_bytes", "load_ms", "first_inference_ms", "flips", "arena_bytes",
        "live_tensor_peak_bytes",
    )  # fmt: skip

    model: str
    runtime: str
    precision: str
    variant: str = ""
    batch: int = 1
    threads: int = 1
    top1: float | None = None
    agreement: float | None = None
    size_bytes: int | None = None
    latency_us: Latency | None = None
    images_per_second: float | None = None
    vs_original: float | None = None
    peak_memory_bytes: int | None = None
    data: str = ""
    format: str = ""
    device: str = ""
    sha256: str | None = None
    top1_interval: Interval | None = None
    agreement_interval: Interval | None = None
    drop_pp: float | None = None
    flips: int | None = None
    vs_original_interval: Interval | None = None
    vs_onnx_float: float | None = None
    vs_onnx_float_interval: Interval | None = None
    load_ms: float | None = None
    first_inference_ms: float | None = None
    library_memory_bytes: int | None = None
    arena_bytes: int | None = None
    live_tensor_peak_bytes: int | None = None
    notes: tuple[str, ...] = ()

    def _check(self) -> None:
        if self.batch < 1 or self.threads < 1:
            raise InputError(
                f"BenchmarkRow: expected batch and threads of 1 or more, found {self.batch}, {self.threads}."
            )

    @property
    def name(self) -> str:
        """Model, precision and runtime, as a plot's label."""
        variant = f"-{self.variant}" if self.variant else ""
        return f"{self.model} {self.precision}{variant}, {self.runtime}"

    @property
    def key(self) -> tuple[str, ...]:
        """What makes it the same configuration in two runs."""
        return (
            self.model, self.data, self.precision, self.variant, self.runtime, str(self.batch),
            str(self.threads),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Benchmark(Record):
    """A benchmark run: its rows beside the machine they were measured on.

    Attributes:
        schema_version: 1.
        environment: the machine and the versions.
        rows: the figures.
        created: time of the run, ISO 8601, UTC.
        images: number of test images that accuracy and agreement are over.
        command: the command that repeats it.
        notes: what was left out, and why.
    """

    schema_version: int = SCHEMA_VERSION
    environment: Environment
    rows: tuple[BenchmarkRow, ...]
    created: str | None = None
    images: int | None = None
    command: str | None = None
    notes: tuple[str, ...] = ()

    def _check(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise InputError(
                f"schema_version: expected {SCHEMA_VERSION}, found {self.schema_version}. "
                "Update mnist-export to read this benchmark."
            )

    def to_json(self) -> str:
        """JSON text, indented, keys in the fields' order, ASCII, with a final newline."""
        return encode_json(self)

    @classmethod
    def from_json(cls, text: str | bytes, *, name: str = "benchmark.json") -> Benchmark:
        """Read a benchmark.

        Raises:
            InputError: not JSON, or not a whole benchmark of schema version 1.
        """
        return decode_json(text, cls, name=name)
