"""Rows of a benchmark: models by runtimes by precisions by batch sizes, and their JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnist_export.core.errors import InputError
from mnist_export.report.codec import Record, decode_json, encode_json
from mnist_export.report.context import EnvironmentInfo
from mnist_export.report.parts import Percentiles

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
        vs_original: p50 divided by the original's p50, interleaved in one run.
        peak_memory_bytes: growth of resident memory.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("top1", "agreement")
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("size_bytes", "images_per_second", "vs_original")

    model: str
    runtime: str
    precision: str
    variant: str = ""
    batch: int = 1
    threads: int = 1
    top1: float | None = None
    agreement: float | None = None
    size_bytes: int | None = None
    latency_us: Percentiles | None = None
    images_per_second: float | None = None
    vs_original: float | None = None
    peak_memory_bytes: int | None = None

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


@dataclass(frozen=True, kw_only=True)
class Benchmark(Record):
    """A benchmark run: its rows beside the machine they were measured on."""

    schema_version: int = SCHEMA_VERSION
    environment: EnvironmentInfo
    rows: tuple[BenchmarkRow, ...]
    created: str | None = None

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
