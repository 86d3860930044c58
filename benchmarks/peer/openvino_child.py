"""A child process for OpenVINO models: `mnist_export.runtime.bench.protocol` without the package.

It needs numpy and openvino only, so that it runs in the peer's environment. Pixels become floats of 0 to 1.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

BLOCK_NS = 2_000_000


class Child:
    """One compiled model, and the batch that is being timed."""

    def open(self, order):
        """Read and compile the model, and answer one image."""
        started = time.perf_counter()
        import openvino as ov

        imported = time.perf_counter()
        self.core = ov.Core()
        threads = int(order["threads"])
        self.settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        path = Path(order["path"])
        model = self.core.read_model(path)
        self.request = self.core.compile_model(model, "CPU", self.settings).create_infer_request()
        loaded = time.perf_counter()
        self.call(self.prepare(np.load(order["images"], allow_pickle=False)[:1]))
        return {
            "runtime": "openvino",
            "device": "CPU",
            "precision": "int8" if "int8" in path.name else "float32",
            "variant": "",
            "format": "openvino",
            "sha256": "",
            "size_bytes": path.stat().st_size + path.with_suffix(".bin").stat().st_size,
            "load_ms": (loaded - imported) * 1e3,
            "first_inference_ms": (time.perf_counter() - started) * 1e3,
            "library_memory_bytes": 0,
            "peak_memory_bytes": 0,
            "output_step": None,
            "notes": [],
        }

    @staticmethod
    def prepare(images):
        """Turn pixels into what the model takes."""
        return np.ascontiguousarray(images.astype(np.float32) / np.float32(255))

    def call(self, batch):
        """Run one batch."""
        # the input's memory is shared, which is OpenVINO's own advice for numpy
        return next(iter(self.request.infer(batch, share_inputs=True).values()))

    def answer(self, order):
        """Answer images, and leave the logits in a file."""
        images = np.load(order["images"], allow_pickle=False)
        started = time.perf_counter()
        parts = [self.call(self.prepare(images[i : i + 100])) for i in range(0, len(images), 100)]
        logits = np.concatenate(parts).astype(np.float32)
        seconds = time.perf_counter() - started
        np.save(order["logits"], logits, allow_pickle=False)
        return {"seconds": seconds}

    def batch(self, order):
        """Prepare a batch and warm up on it."""
        self.ready = self.prepare(np.load(order["images"], allow_pickle=False))
        self.call(self.ready)
        runs, steady, previous = 1, 0, float(self.times(1)[0])
        deadline = time.perf_counter() + float(order["limit_s"])
        while steady < 3 and time.perf_counter() < deadline:
            count = max(1, min(500, int(BLOCK_NS / max(previous, 1))))
            median = float(np.median(self.times(count)))
            runs += count
            steady = steady + 1 if abs(median - previous) <= 0.05 * previous else 0
            previous = median
        return {"runs": runs, "stable": steady >= 3, "single_ns": max(1, int(previous))}

    def times(self, count):
        """Time that many calls, in nanoseconds."""
        clock, found = time.perf_counter_ns, [0] * count
        for index in range(count):
            start = clock()
            self.call(self.ready)
            found[index] = clock() - start
        return found

    def turn(self, order):
        """Take a turn."""
        started = time.process_time_ns()
        times = self.times(int(order["count"]))
        return {"ns": times, "cpu_ns": time.process_time_ns() - started}


def main():
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    child = Child()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(child, order["do"])(order)
        except Exception as error:  # noqa: BLE001 - told to the parent
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
