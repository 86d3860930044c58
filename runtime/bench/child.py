"""A child process of a benchmark: one model in one runtime, so that no other runtime's threads disturb it."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.pixel_rules import rule_from_json
from mnist_export.runtime.bench.protocol import serve
from mnist_export.runtime.timing.latency import Turn, turn_of
from mnist_export.runtime.timing.memory import peak_resident_bytes, resident_bytes

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.runtime.runners.runner import Runner


class Child:
    """The state of the process: its model and the batch that is being timed."""

    def __init__(self) -> None:
        """Start with nothing open."""
        self._runner: Runner | None = None
        self._turn: Turn | None = None

    @property
    def runner(self) -> Runner:
        """The open model."""
        if self._runner is None:
            raise InputError("benchmark: no model is open in this process.")
        return self._runner

    def open(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Open a model and answer one image, noting time and memory on the way.

        Memory is the growth over a process that has Python, NumPy and the images: first by the runtime's
        own library, then by the model and its first answer.
        """
        images = _images(order["images"])[:1]
        dataset = _dataset(order.get("data"))
        before, started = resident_bytes(), time.perf_counter()
        _import_runtime(order["runtime"])
        imported, library = time.perf_counter(), resident_bytes()
        self._runner = _open(order, dataset)
        loaded = time.perf_counter()
        self._runner.invoke(self._runner.prepare(images))
        answered, peak = time.perf_counter(), peak_resident_bytes()
        load_ms = (loaded - imported) * 1e3 if order["runtime"] == "keras" else _load_again_ms(order)
        source = self._runner.source
        return {
            "runtime": self._runner.name,
            "device": self._runner.device,
            "precision": source.precision if source else "float32",
            "variant": source.variant if source else "",
            "format": source.format if source else self._runner.name,
            "sha256": source.sha256 if source else "",
            "size_bytes": source.size_bytes if source else 0,
            "load_ms": load_ms,
            "first_inference_ms": (answered - started) * 1e3,
            "library_memory_bytes": max(0, library - before),
            "peak_memory_bytes": max(0, peak - before),
            **_values_memory(self._runner),
            "output_step": self._runner.output_step,
            "notes": list(self._runner.notes),
        }

    def answer(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Answer images, and leave the logits in a file."""
        started = time.perf_counter()
        logits = self.runner.run(_images(order["images"]))
        seconds = time.perf_counter() - started
        np.save(order["logits"], logits, allow_pickle=False)
        return {"seconds": seconds}

    def batch(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Prepare a batch and warm up on it."""
        gc.collect()
        gc.disable()
        batch = self.runner.prepare(_images(order["images"]))
        self._turn = turn_of(self.runner, batch, limit_s=float(order["limit_s"]))
        return {
            "runs": self._turn.warmup_runs,
            "stable": self._turn.stable,
            "single_ns": self._turn.single_ns,
        }

    def turn(self, order: Mapping[str, Any]) -> dict[str, Any]:
        """Time that many calls."""
        if self._turn is None:
            raise InputError("benchmark: no batch was prepared in this process.")
        started = time.process_time_ns()
        times = self._turn.take(int(order["count"]))
        return {"ns": times.tolist(), "cpu_ns": time.process_time_ns() - started}


def _images(path: str) -> npt.NDArray[np.uint8]:
    images: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
    return images


def _dataset(spec: str | None) -> Dataset | None:
    if not spec:
        return None
    from mnist_export.data import load_dataset

    return load_dataset(spec, download=False, notify=lambda _: None)


def _import_runtime(name: str) -> None:
    """Import what the runtime itself needs, so that its cost is not taken for the model's."""
    if name == "litert":
        import ai_edge_litert.interpreter  # noqa: F401
    elif name == "onnxruntime":
        import onnxruntime  # noqa: F401
    elif name == "keras":
        import keras  # noqa: F401


def _open(order: Mapping[str, Any], dataset: Dataset | None) -> Runner:
    stated = order.get("input_range")
    input_range = rule_from_json(stated) if stated else None
    if order["runtime"] == "keras":
        from mnist_export.runtime.runners.keras import open_keras

        return open_keras(
            order["path"],
            dataset=dataset,
            notify=lambda _: None,
            threads=int(order["threads"]),
            input_range=input_range,
            trust=bool(order.get("trust")),
        )
    from mnist_export.runtime.runners.opening import open_runner

    return open_runner(
        Path(order["path"]),
        threads=int(order["threads"]),
        kernels=order.get("kernels") or "default",
        input_range=input_range,
        trust=True,  # this process is the sandbox of its own model: a crash ends nothing else
    )


def _values_memory(runner: Runner) -> dict[str, int | None]:
    """What the values inside of a .tflite take for one image; nothing for other runtimes."""
    from mnist_export.runtime.runners.litert import LiteRtRunner

    if not isinstance(runner, LiteRtRunner):
        return {}
    from mnist_export.runtime.timing.arena import activation_memory

    try:
        found = activation_memory(runner)
    except InputError:
        return {}  # the built-in kernels lack an operator, or the batch is fixed
    return {"arena_bytes": found.arena_bytes, "live_tensor_peak_bytes": found.live_tensor_peak_bytes}


def _load_again_ms(order: Mapping[str, Any]) -> float:
    """Load the file once more, now that every library is imported, and give the milliseconds."""
    started = time.perf_counter()
    _open(order, None).close()
    return (time.perf_counter() - started) * 1e3


def main() -> int:
    """Serve one benchmark."""
    child = Child()
    return serve({"open": child.open, "answer": child.answer, "batch": child.batch, "turn": child.turn})


if __name__ == "__main__":
    sys.exit(main())
