"""Measuring in child processes: what is found, and what happens when a child fails."""

import sys

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.data import Split
from mnist_export.parity.versions import measure_targets
from mnist_export.runtime.bench.measuring import Plan, Target
from mnist_export.runtime.bench.process import BenchProcess
from mnist_export.runtime.timing.latency import Effort
from mnist_export.runtime.timing.memory import peak_resident_bytes, resident_bytes

EFFORT = Effort(min_time_s=0.05, min_runs=10, min_rounds=5, max_time_s=1, max_warmup_s=0.1)


@pytest.fixture
def some(digits):
    return Split(images=digits.test.images[:40], labels=digits.test.labels[:40])


def target(path, runtime="litert"):
    return Target(name=str(path).rsplit("/", 1)[-1], path=str(path), runtime=runtime)


def test_each_target_gets_answers_memory_and_times(models, some, tmp_path):
    first, second = models.write(tmp_path, "float.tflite", "int8.tflite")
    plan = Plan(batches=(1, 4), threads=(1, 2), effort=EFFORT)
    found = measure_targets([target(first), target(second)], some, plan=plan, baselines=["float.tflite"])
    original, candidate = found
    assert original.parity.logits.different == 0
    assert 0 < candidate.parity.logits.max_error_steps < 20
    assert [(p.batch, p.threads) for p in candidate.points] == [(1, 1), (4, 1), (1, 2), (4, 2)]
    assert {tuple(p.ratios) for p in candidate.points} == {("float.tflite",)}
    assert {tuple(p.ratios) for p in original.points} == {()}
    assert candidate.opened["peak_memory_bytes"] >= candidate.opened["library_memory_bytes"] > 0
    assert candidate.opened["size_bytes"] == len(models.files["int8.tflite"])


def test_a_childs_refusal_arrives_as_the_same_error(some, tmp_path):
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"\x1c\x00\x00\x00TFL3" + bytes(100))
    with pytest.raises(InputError, match=r"broken\.tflite"):
        measure_targets([target(broken)], some, plan=Plan(batches=(1,), effort=EFFORT))


def test_a_child_that_dies_is_named(some, tmp_path):
    np.save(tmp_path / "images.npy", some.images)
    with (
        BenchProcess("mortal", program=(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")) as child,
        pytest.raises(InputError, match="mortal: its process was ended by signal 9"),
    ):
        child.ask("open", images=str(tmp_path / "images.npy"))


def test_children_end_with_their_parents_interest():
    child = BenchProcess("idle")
    child.close()
    child.close()
    assert child._process.returncode is not None


def test_targets_need_names_of_their_own_and_images(models, some, tmp_path):
    (path,) = models.write(tmp_path, "int8.tflite")
    with pytest.raises(InputError, match="different names"):
        measure_targets([target(path), target(path)], some, plan=Plan())
    none = Split(images=some.images[:0], labels=some.labels[:0])
    with pytest.raises(InputError, match="at least one image"):
        measure_targets([target(path)], none, plan=Plan())


def test_memory_is_counted_in_bytes():
    before = peak_resident_bytes()
    assert 1 << 20 < resident_bytes() <= before
    block = np.ones(64 << 20, np.uint8)
    assert peak_resident_bytes() >= max(before, block.nbytes)
