"""The promises about time and memory, measured: benchmarks/results/verification.json.

    python benchmarks/verification.py --data mnist

1. The whole command, conversion and verification of both formats over all test images: seconds and memory.
2. The parity check's images per second against a loop that answers images one by one.
3. What the latency harness adds to LiteRT's bare loop.
4. How long ``--help`` takes.

Ratios are between neighbours in time, and of processor time, which other load on the machine hardly changes.
Seconds are those of this machine and its load, which is recorded. A promise about seconds that a busy machine
misses, while the command's own processor time is within it, is neither kept nor broken: measure again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Heavy imports come after the first part: a child's peak memory starts from its parent's.
HERE = Path(__file__).parent
COMMANDS = ("train", "export", "parity", "bench")
TARGETS = {"command_s": 15.0, "command_bytes": 2 << 30, "harness": 0.05, "help_s": 0.3}


def child(module: str, *words: str) -> dict[str, float]:
    """Run a command to its end: wall seconds, processor seconds, peak resident bytes."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", f"mnist_export.cli.{module}", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    errors = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(
            f"mnist-{module} {' '.join(words)} ended with {process.returncode}: {errors.decode()[-500:]}"
        )
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "wall_s": wall,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_bytes": float(usage.ru_maxrss * unit),
    }


def whole_command(data: str, runs: int, folder: Path) -> dict[str, Any]:
    """Part 1; the first run writes the bytecode and fills the file cache, and is not counted."""
    words = ("--format", "tflite,onnx", "--int8", "--data", data, "-q", "-o")
    found = [child("export", *words, str(folder / f"run{i}")) for i in range(runs + 1)][1:]
    for number in range(1, runs + 1):
        shutil.rmtree(folder / f"run{number}")
    report = json.loads(next((folder / "run0").glob("*.report.json")).read_text())
    middle = {key: statistics.median(run[key] for run in found) for key in found[0]}
    return {
        "command": " ".join(("mnist-export", *words[:-2])),
        "runs": found,
        **middle,
        "least_wall_s": min(run["wall_s"] for run in found),
        "images": report["data"]["images"],
        "verdict": report["verdict"],
        "stages_s": report["timings_s"],
    }


def help_times(runs: int) -> dict[str, dict[str, float]]:
    """Part 4: command to median figures of ``--help``."""
    times = {}
    for name in COMMANDS:
        child(name, "--help")
        found = [child(name, "--help") for _ in range(runs)]
        times[f"mnist-{name}"] = {key: statistics.median(run[key] for run in found) for key in found[0]}
    return times


def _turn(work: Callable[[], Any]) -> Any:
    """A turn whose one call is a whole pass of one thread, in processor time."""
    import numpy as np

    from mnist_export.runtime.timing.latency import Turn

    def take(count: int) -> Any:
        times = []
        for _ in range(count):
            started = time.process_time_ns()
            work()
            times.append(time.process_time_ns() - started)
        return np.array(times, np.int64)

    single = int(np.median(take(2)))
    return Turn(take=take, warmup_runs=2, stable=True, single_ns=max(1, single))


def check_speed(folder: Path, data: str) -> dict[str, Any]:
    """Part 2: both runtimes on the int8 files, the check (answers and comparison) against the loop."""
    from mnist_export.data import load_dataset
    from mnist_export.parity.comparison import compare
    from mnist_export.runtime.runners.opening import open_runner
    from mnist_export.runtime.timing.latency import Effort, interleave

    test = load_dataset(data, download=False, notify=lambda _: None).test
    found: dict[str, Any] = {}
    effort = Effort(min_time_s=2.0, min_runs=7, min_rounds=7, max_time_s=20.0)
    for path in sorted((folder / "run0").glob("*.int8.*")):
        if path.suffix not in (".tflite", ".onnx"):
            continue
        runner = open_runner(path, trust=True)
        reference = runner.run(test.images)
        batches = runner.prepare(test.images)

        def checked(runner: Any = runner, reference: Any = reference) -> None:
            compare(reference, runner.run(test.images), test.labels)

        turns = {"loop": _turn(_loop(path, batches, test.labels)), "check": _turn(checked)}
        result = interleave(turns, baseline="loop", limits=effort)
        speed = {name: len(test) / times.p50 * 1e6 for name, times in result.latencies.items()}
        ratio = result.ratios["check"]
        found[runner.name] = {
            "images": len(test),
            "batch": runner.preferred_batch,
            "loop_images_per_second": speed["loop"],
            "check_images_per_second": speed["check"],
            "check_over_loop": 1 / ratio.ratio,
            "interval": [1 / ratio.interval[1], 1 / ratio.interval[0]],
            "rounds": ratio.rounds,
        }
    return found


def _loop(path: Path, batches: Any, labels: Any) -> Callable[[], None]:
    """What a script without this project does: image after image, then the accuracy."""
    if path.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        source = interpreter.get_input_details()[0]["index"]
        target = interpreter.get_output_details()[0]["index"]

        def tflite() -> None:
            right = 0
            for index in range(len(batches)):
                interpreter.set_tensor(source, batches[index : index + 1])
                interpreter.invoke()
                right += int(interpreter.get_tensor(target).argmax() == labels[index])

        return tflite
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def onnx() -> None:
        right = 0
        for index in range(len(batches)):
            right += int(session.run(None, {name: batches[index : index + 1]})[0].argmax() == labels[index])

    return onnx


def harness_overhead(folder: Path) -> dict[str, Any]:
    """Part 3: a runner's `timed_calls` against a bare LiteRT loop of the same work.

    The bare loop sets the input, invokes and fetches the output, with a clock before and after the whole
    loop only (the thread's processor time). `invoke_only` is what remains without setting and fetching, which
    a user cannot leave out.
    """
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from mnist_export.runtime.runners.opening import open_runner
    from mnist_export.runtime.timing.latency import ratio_of

    path = next((folder / "run0").glob("*.int8.tflite"))
    runner = open_runner(path, trust=True)
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    target = interpreter.get_output_details()[0]["index"]
    batch = runner.prepare(np.zeros((1, *runner.input.shape[1:]), np.uint8))
    take, clock = runner.timed_calls(batch), time.thread_time_ns
    count = 280  # a turn of 2 ms
    loops: dict[str, list[float]] = {"bare": [], "invoke_only": [], "harness": [], "reported": []}
    for number in range(1020):
        started = clock()
        for _ in range(count):
            interpreter.set_tensor(source, batch)
            interpreter.invoke()
            interpreter.get_tensor(target)
        bare = clock() - started
        started = clock()
        for _ in range(count):
            interpreter.invoke()
        alone = clock() - started
        started = clock()
        times = take(count)
        harness = clock() - started
        if number >= 20:
            loops["bare"].append(bare / count)
            loops["invoke_only"].append(alone / count)
            loops["harness"].append(harness / count)
            loops["reported"].append(float(np.median(times)))
    arrays = {name: np.array(values) for name, values in loops.items()}
    ratio = ratio_of(arrays["harness"], arrays["bare"])
    return {
        "file": path.name,
        "rounds": ratio.rounds,
        "calls_a_round": count,
        "bare_us": float(np.median(arrays["bare"])) / 1e3,
        "invoke_only_us": float(np.median(arrays["invoke_only"])) / 1e3,
        # other load on the machine only adds time: the quicker turns show what is the harness's own
        "overhead": float(np.quantile(arrays["harness"], 0.1) / np.quantile(arrays["bare"], 0.1)) - 1,
        "overhead_median": ratio.ratio - 1,
        "interval": [end - 1 for end in ratio.interval],
        "reported_over_bare": ratio_of(arrays["reported"], arrays["bare"]).ratio,
    }


def _kept(what: str, measured: float, most: float) -> dict[str, Any]:
    return {"what": what, "measured": measured, "most": most, "kept": measured < most}


def _promise(what: str, found: dict[str, Any], most: float, load: float) -> dict[str, Any]:
    """A promise about seconds; None where the machine's load, not the command, took them."""
    item = {**_kept(what, found["wall_s"], most), "processor": found["cpu_s"]}
    if not item["kept"] and found["cpu_s"] < most and load > (os.cpu_count() or 1) + 1:
        item["kept"] = None
    return item


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the promises about time and memory.")
    parser.add_argument("--data", default="auto")
    parser.add_argument("--runs", type=int, default=5, help="of the whole command (default 5)")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "verification.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mnist-verification-") as text:
        folder = Path(text)
        load = [os.getloadavg()[0]]
        command = whole_command(arguments.data, arguments.runs, folder)
        helps = help_times(7)
        load.append(os.getloadavg()[0])
        speed = check_speed(folder, arguments.data)
        harness = harness_overhead(folder)
        load.append(os.getloadavg()[0])
    from mnist_export.core.files import write_atomic
    from mnist_export.runtime.environment import describe

    promises = [
        _promise("whole command, seconds", command, TARGETS["command_s"], load[0]),
        _kept("whole command, peak memory in bytes", command["peak_bytes"], TARGETS["command_bytes"]),
        _kept("harness overhead over LiteRT's bare loop", harness["overhead"], TARGETS["harness"]),
        *(
            _promise(f"{name} --help, seconds", found, TARGETS["help_s"], load[1])
            for name, found in helps.items()
        ),
    ]
    results = {
        "schema_version": 1,
        "environment": describe().to_json(),
        "load_average": load,
        "promises": promises,
        "command": command,
        "check_speed": speed,
        "harness": harness,
        "help_s": helps,
    }
    write_atomic({arguments.output: (json.dumps(results, indent=2) + "\n").encode()})
    for item in promises:
        mark = {True: "kept", False: "MISSED", None: "busy"}[item["kept"]]
        cpu = f", of which processor {item['processor']:.4g}" if "processor" in item else ""
        print(f"{mark:8}{item['what']}: {item['measured']:.4g}{cpu}; at most {item['most']:.4g}")
    for name, found in speed.items():
        print(f"        check over one-by-one loop, {name}: {found['check_over_loop']:.2f}")
    return 1 if any(item["kept"] is False for item in promises) else 0


if __name__ == "__main__":
    sys.exit(main())
