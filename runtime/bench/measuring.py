"""Measures versions of one model: answers, memory and start-up alone, times in turns across processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.parameters import parameter
from mnist_export.core.pixel_rules import PixelRule, rule_to_json
from mnist_export.runtime.bench.process import CHILD, BenchProcess
from mnist_export.runtime.timing.figures import Latency, Ratio
from mnist_export.runtime.timing.latency import Effort, Interleaved, Turn, interleave, ratio_of

if TYPE_CHECKING:
    pass

QUICK: Final = Effort(min_time_s=0.15, min_runs=30, min_rounds=9, max_time_s=3.0, max_warmup_s=0.3)
_LONG_NS: Final = 500_000
FULL: Final = Effort(
    min_time_s=0.5, min_runs=100, min_rounds=15, max_time_s=10.0, max_warmup_s=1.0, long_call_ms=inf
)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One thing to measure.

    Attributes:
        name: unique within a run.
        path: a model file, or the name of an architecture with ``runtime`` keras.
        runtime: ``keras``, ``litert``, ``onnxruntime``, or another for a ``program`` of its own.
        data: data set that a named architecture's weights are for; empty for files.
        input_range: what pixels 0 and 255 become; None takes the file's own.
        trust: a SavedModel may be opened.
        variant: what tells it from others of its precision; empty takes the file's own.
        kernels: LiteRT's kernels or ONNX Runtime's optimization level.
        program: the child to start; see `bench_protocol`.
    """

    name: str
    path: str
    runtime: str
    data: str = ""
    input_range: PixelRule | None = None
    trust: bool = False
    variant: str = ""
    kernels: str = "default"
    program: tuple[str, ...] = CHILD


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to measure.

    Attributes:
        batches: images of one call.
        threads: threads of one inference.
        effort: how long to measure each.
        pin: hold each child on as many processors as it has threads.
    """

    batches: tuple[int, ...] = (1, 8, 32, 128, 256)
    threads: tuple[int, ...] = (1,)
    effort: Effort = FULL
    pin: bool = False

    def __post_init__(self) -> None:
        """Refuse a plan that measures nothing, or more than a machine has."""
        for name, values, most in (("batches", self.batches, 65536), ("threads", self.threads, 1024)):
            if not values or any(not 1 <= value <= most for value in values):
                raise InputError(
                    f"{parameter(name)}: expected numbers from 1 to {most}, found {list(values)}."
                )
            if len(set(values)) != len(values):
                raise InputError(f"{parameter(name)}: expected different numbers, found {list(values)}.")


@dataclass(frozen=True, kw_only=True)
class Point:
    """Times at one batch size and number of threads.

    Attributes:
        batch: images of one call.
        threads: threads of one inference.
        latency_us: of one call.
        images_per_second: ``batch / p50``.
        ratios: baseline's name to time over the baseline's, from interleaved turns. Calls of one thread that
            take over half a millisecond are compared by processor time: on a busy machine long calls are
            interrupted and short ones are not, which would make the shorter look better than it is.
        by_processor: baselines whose ratio is of processor times.
    """

    batch: int
    threads: int
    latency_us: Latency
    images_per_second: float
    ratios: Mapping[str, Ratio]
    by_processor: tuple[str, ...] = ()


@contextlib.contextmanager
def children_of(targets: Sequence[Target], threads: int, pin: bool) -> Iterator[dict[str, BenchProcess]]:
    """Start a child process for each target, by name; they end with the context."""
    with contextlib.ExitStack() as stack:
        yield {
            target.name: stack.enter_context(
                BenchProcess(target.name, threads=threads, pin=pin, program=target.program)
            )
            for target in targets
        }


def order_of(target: Target, threads: int) -> dict[str, Any]:
    """What a child is told to open, but for the images."""
    return {
        "path": target.path,
        "runtime": target.runtime,
        "data": target.data,
        "threads": threads,
        "trust": target.trust,
        "kernels": target.kernels,
        "input_range": rule_to_json(target.input_range) if target.input_range else None,
    }


def times_of(
    children: Mapping[str, BenchProcess],
    images: npt.NDArray[np.uint8],
    batch: int,
    folder: Path,
    effort: Effort,
) -> tuple[dict[str, Turn], Interleaved]:
    """Have children, each with its model open, time a batch in turns.

    Args:
        children: by name; the first is the baseline.
        images: uint8 (n, H, W, C), repeated until they fill the batch.
        batch: images of one call.
        folder: where the batch is left for the children.
        effort: how long to measure.
    """
    path = folder / f"batch-{batch}.npy"
    np.save(path, np.resize(images, (batch, *images.shape[1:])), allow_pickle=False)
    turns = {name: child.turn(path, limit_s=effort.max_warmup_s) for name, child in children.items()}
    held = all(child.pinned for child in children.values())
    return turns, interleave(turns, baseline=next(iter(turns)), limits=effort, batch=batch, held=held)


def fair_ratio(
    turns: Mapping[str, Turn], found: Interleaved, name: str, over: str, *, threads: int
) -> tuple[Ratio, bool]:
    """The ratio of two of the children, and whether it is of processor times.

    Calls of one thread that take over half a millisecond are compared by processor time; see `Point`.
    """
    if threads == 1 and max(turns[name].single_ns, turns[over].single_ns) > _LONG_NS:
        return ratio_of(np.array(turns[name].cpu_ns), np.array(turns[over].cpu_ns)), True
    return found.ratio(name, over), False


def point_of(
    turns: Mapping[str, Turn], found: Interleaved, name: str, at: tuple[int, int], over: Sequence[str]
) -> Point:
    """One target's times of an interleaved run, with its ratios over the baselines."""
    batch, threads = at
    latency = found.latencies[name]
    ratios = {base: fair_ratio(turns, found, name, base, threads=threads) for base in over if base != name}
    return Point(
        batch=batch,
        threads=threads,
        latency_us=latency,
        images_per_second=batch / latency.p50 * 1e6,
        ratios={base: ratio for base, (ratio, _) in ratios.items()},
        by_processor=tuple(base for base, (_, processor) in ratios.items() if processor),
    )
