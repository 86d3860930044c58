"""Times open models once more, each in a process of its own, in turns: the way of `measuring` for a check."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.runtime.bench.measuring import Target, fair_ratio, order_of, times_of
from mnist_export.runtime.bench.process import CHILD, BenchProcess
from mnist_export.runtime.runners.keras import KerasRunner
from mnist_export.runtime.runners.runner import Runner
from mnist_export.runtime.timing.figures import Ratio
from mnist_export.runtime.timing.latency import Effort, Interleaved


@dataclass(frozen=True, kw_only=True, eq=False)
class Isolated:
    """Times of models that each ran in a process of its own.

    Attributes:
        times: latencies by name; the first name is the baseline.
        ratios: time over the baseline's by name, without the baseline.
        by_processor: names whose ratio is of processor times; see `measuring.Point`.
    """

    times: Interleaved
    ratios: Mapping[str, Ratio]
    by_processor: tuple[str, ...]


def measure_isolated(
    runners: Mapping[str, Runner],
    images: npt.NDArray[np.uint8],
    *,
    effort: Effort | None = None,
    pin: bool = False,
    program: Sequence[str] = CHILD,
) -> Isolated:
    """Measure models in turns of about 2 ms, each in a child process that opens it anew.

    Children open the runner's own file with its threads, kernels and input range; a Keras model that is no
    file is saved for its child. Children of Keras get as many threads as their runner says.

    Args:
        runners: by name; the first is the baseline.
        images: uint8 (batch, H, W, C), the batch of each call.
        effort: how long to measure.
        pin: hold each child on as many processors as it has threads.
        program: the child to start; it follows `protocol`.

    Raises:
        InputError: no runners, a model that no file holds, or a child that died.
    """
    if not runners:
        raise InputError("latency: expected at least one runner, found none.")
    limits = effort or Effort()
    with tempfile.TemporaryDirectory(prefix="mnist-parity-") as text, contextlib.ExitStack() as stack:
        folder = Path(text)
        np.save(folder / "images.npy", images, allow_pickle=False)
        children: dict[str, BenchProcess] = {}
        for name, runner in runners.items():
            target = _target(name, runner, folder, tuple(program))
            child = BenchProcess(runner.label, threads=runner.threads, pin=pin, program=target.program)
            children[name] = stack.enter_context(child)
            child.ask("open", images=str(folder / "images.npy"), **order_of(target, runner.threads))
        turns, found = times_of(children, images, len(images), folder, limits)
    threads = max(runner.threads for runner in runners.values())
    ratios = {
        name: fair_ratio(turns, found, name, found.baseline, threads=threads)
        for name in runners
        if name != found.baseline
    }
    return Isolated(
        times=found,
        ratios={name: ratio for name, (ratio, _) in ratios.items()},
        by_processor=tuple(name for name, (_, processor) in ratios.items() if processor),
    )


def _target(name: str, runner: Runner, folder: Path, program: tuple[str, ...]) -> Target:
    """What the child has to open to have the same model."""
    source = runner.source
    if isinstance(runner, KerasRunner) and (source is None or runner.origin != "file"):
        # a named architecture, or a model in memory: there is no one file that holds it
        path = str(folder / f"{len(list(folder.iterdir()))}.keras")
        runner.model.save(path)
    elif source is None:
        raise InputError(
            f"{runner.label}: a process of its own needs the model's file, and it was opened from memory. "
            "Open it with open_runner, or measure in one process."
        )
    else:
        path = str(Path(source.path).resolve())
    return Target(
        name=name,
        path=path,
        runtime=runner.name,
        input_range=runner.input_range,
        trust=True,  # the parent has it open: it was judged before
        kernels=source.kernels if source else "default",
        program=program,
    )
