"""Latency of a check with each model in a process of its own."""

import contextlib
import json
import os
import sys
from pathlib import Path

import pytest

from mnist_export.cli.parity import main
from mnist_export.core.errors import InputError
from mnist_export.core.pixels import InputRange
from mnist_export.data import Split
from mnist_export.parity.checking import APART, check
from mnist_export.runtime.bench.isolated import measure_isolated
from mnist_export.runtime.environment import usable_cores
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.runners.opening import open_runner
from mnist_export.runtime.timing.latency import Effort

EFFORT = Effort(min_time_s=0.02, min_runs=5, min_rounds=3, max_time_s=1, max_warmup_s=0.1)
# A child that answers with times of its own making, and writes down what it was told.
FAKE = """
import json, os, sys
from mnist_export.runtime.bench.protocol import serve
from mnist_export.runtime.environment import usable_cores
state = {}
def open_(order):
    state.update(order)
    with open(os.environ["FAKE_LOG"], "a") as log:
        log.write(json.dumps({**order, "cores": usable_cores()}) + "\\n")
    return {}
def batch(order):
    return {"runs": 1, "stable": True, "single_ns": int(os.environ["FAKE_NS"])}
def turn(order):
    slow = 2 if "float" in state["path"] else 1
    if os.environ.get("FAKE_DIES") and slow == 1:
        os.kill(os.getpid(), 9)
    each = int(os.environ["FAKE_NS"]) * slow
    return {"ns": [each] * order["count"], "cpu_ns": 1000 * (5 if slow == 2 else 1) * order["count"]}
serve({"open": open_, "batch": batch, "turn": turn})
"""
PROGRAM = (sys.executable, "-c", FAKE)


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """Environment of the fake child; gives what the children were told."""
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "orders"))
    monkeypatch.setenv("FAKE_NS", "1000")
    return lambda: [json.loads(line) for line in (tmp_path / "orders").read_text().splitlines()]


@pytest.fixture
def pair(models, tmp_path):
    paths = models.write(tmp_path, "float.tflite", "int8.tflite")
    with (
        open_runner(paths[0], trust=True, input_range=InputRange(lo=-1, hi=1)) as first,
        open_runner(paths[1], trust=True, threads=2, kernels="reference") as second,
    ):
        yield {"reference": first, "0": second}


def test_times_are_the_childrens_and_they_open_what_the_runners_have_open(pair, fake, digits):
    found = measure_isolated(pair, digits.test.images[:1], effort=EFFORT, program=PROGRAM)
    assert found.times.latencies["reference"].p50 == pytest.approx(2.0)
    assert found.times.latencies["0"].p50 == pytest.approx(1.0)
    assert found.ratios["0"].ratio == pytest.approx(0.5)
    assert found.by_processor == ()
    first, second = fake()
    assert (Path(first["path"]).name, first["runtime"], first["threads"]) == ("float.tflite", "litert", 1)
    assert (first["input_range"], first["kernels"]) == ([-1, 1], "default")
    assert (Path(second["path"]).name, second["threads"]) == ("int8.tflite", 2)
    assert (second["input_range"], second["kernels"]) == ([0, 1], "reference")


def test_long_calls_of_one_thread_are_compared_by_processor_time(models, fake, digits, tmp_path, monkeypatch):
    monkeypatch.setenv("FAKE_NS", "600000")
    paths = models.write(tmp_path, "float.tflite", "int8.tflite")
    with open_runner(paths[0], trust=True) as first, open_runner(paths[1], trust=True) as second:
        found = measure_isolated(
            {"a": first, "b": second}, digits.test.images[:1], effort=EFFORT, program=PROGRAM
        )
    assert found.by_processor == ("b",)
    assert found.ratios["b"].ratio == pytest.approx(0.2)


def test_children_are_pinned_to_as_many_processors_as_they_have_threads(models, fake, digits, tmp_path):
    (path,) = models.write(tmp_path, "int8.tflite")
    with open_runner(path, trust=True) as runner:
        found = measure_isolated(
            {"a": runner}, digits.test.images[:1], effort=EFFORT, pin=True, program=PROGRAM
        )
    held = hasattr(os, "sched_setaffinity")
    assert found.times.latencies["a"].pinned == held
    assert fake()[0]["cores"] == (1 if held else usable_cores())


def test_a_child_that_dies_while_it_is_timed_is_named(pair, fake, digits, monkeypatch):
    monkeypatch.setenv("FAKE_DIES", "1")
    with pytest.raises(InputError, match=r"int8\.tflite: its process was ended by signal 9 at 'turn'"):
        measure_isolated(pair, digits.test.images[:1], effort=EFFORT, program=PROGRAM)


def test_a_model_that_no_file_holds_is_refused(models, digits):
    runner = LiteRtRunner(models.files["int8.tflite"], label="held.tflite")
    with (
        runner,
        pytest.raises(InputError, match=r"held\.tflite: a process of its own needs the model's file"),
    ):
        measure_isolated({"a": runner}, digits.test.images[:1], effort=EFFORT)
    with pytest.raises(InputError, match="at least one runner"):
        measure_isolated({}, digits.test.images[:1])


def test_check_takes_times_and_ratios_from_the_children(models, digits, tmp_path):
    paths = models.write(tmp_path, "float.tflite", "int8.tflite")
    some = Split(images=digits.test.images[:20], labels=digits.test.labels[:20])
    with open_runner(paths[0], trust=True) as first, open_runner(paths[1], trust=True) as second:
        found = check(first, [second], some, effort=EFFORT, isolate=True)
    assert found.timing == APART
    assert found.reference.latency_us.p50 > 0
    assert found.candidates[0].latency_us.runs >= 5
    assert found.candidates[0].vs_original.ratio > 0


def test_integer_files_are_timed_beside_their_own_runtimes_float_file(models, digits, tmp_path):
    names = ("float.onnx", "int8.tflite", "int8.onnx", "float.tflite")
    first, tflite, onnx, plain = models.write(tmp_path, *names)
    some = Split(images=digits.test.images[:20], labels=digits.test.labels[:20])
    with contextlib.ExitStack() as stack:
        original, *files, beside = (
            stack.enter_context(open_runner(p, trust=True)) for p in (first, tflite, onnx, plain)
        )
        found = check(original, files, some, effort=EFFORT, floats=[beside])
    assert len(found.candidates) == 2
    assert found.candidates[0].vs_float.ratio > 0
    assert found.candidates[1].vs_float is None


def test_the_report_says_how_latency_was_measured(models, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "as the user says")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "restored after the test")
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE")
    first, second = models.write(tmp_path, "float.onnx", "int8.tflite")
    words = ["check", first, second, "--data", "digits", "--images", "30", "--trust", "-q"]
    assert main([*words, "--isolate", "--pin", "-o", str(tmp_path / "out"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert "left out" not in err
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "as the user says"
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    report = json.loads(out)
    assert report["environment"]["timing"] == "each in its own process"
    assert report["artifacts"][0]["vs_original"] > 0
    page = (tmp_path / "out" / "int8.report.html").read_text()
    assert "models in turns, each in its own process" in page
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["environment"]["timing"] == "in one process"
    assert main([*words, "--json", "--no-latency"]) == 0
    assert json.loads(capsys.readouterr().out)["environment"]["timing"] is None
    assert main([*words, "--no-latency", "--isolate"]) == 2
    assert "leave out --no-latency" in capsys.readouterr().err


def test_a_recording_is_not_timed(models, tmp_path, capsys):
    first, second = models.write(tmp_path, "float.onnx", "int8.tflite")
    golden = str(tmp_path / "golden.npz")
    assert main(["record", first, "-o", golden, "--data", "digits", "--images", "30", "-q", "--trust"]) == 0
    words = ["check", golden, second, "--data", "digits", "--images", "30", "--trust", "-q", "--json"]
    assert main([*words, "--isolate"]) == 0
    report = json.loads(capsys.readouterr().out.split("\n", 1)[1])
    assert report["reference"]["latency_us"] is None
    assert report["artifacts"][0]["latency_us"]["p50"] > 0
    assert report["artifacts"][0]["vs_original"] is None
