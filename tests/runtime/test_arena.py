"""Memory of the values inside of a .tflite: what is live at once, and LiteRT's arena."""

import json

import numpy as np
import pytest

from mnist_export.cli.parity import main
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.data import Split
from mnist_export.parity.versions import measure_targets
from mnist_export.report.benchmark_rows import rows_of
from mnist_export.report.benchmark_table import files_table
from mnist_export.runtime.bench.measuring import Plan, Target
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.timing.arena import activation_memory, live_peak_bytes
from mnist_export.runtime.timing.latency import Effort
from mnist_export.runtime.timing.memory import resident_bytes
from mnist_export.runtime.timing.operator_cut import Network

INPUT, CONV, POOL, LOGITS = 28 * 28, 26 * 26 * 4, 13 * 13 * 4, 10
ALIGNMENT = 64


def memory_of(content, batch=1):
    with LiteRtRunner(content) as runner:
        return activation_memory(runner, batch=batch)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize(("name", "width"), [("int8.tflite", 1), ("float.tflite", 4)])
def test_what_is_live_at_once_is_the_largest_neighbours(name, width, batch, models):
    found = memory_of(models.files[name], batch)
    assert found.live_tensor_peak_bytes == (INPUT + CONV) * width * batch


def test_a_value_that_is_read_late_stays_live(net_builder):
    """Of a residual branch, the block's input waits beside two values of its size."""
    net = net_builder((8, 8, 4), seed=1)
    stem = net.conv(0, 4, name="stem")
    inner = net.conv(net.conv(stem, 4, name="a"), 4, name="b")
    graph = net.graph(net.dense(net.mean(net.add(stem, inner)), 10))
    each = 8 * 8 * 4 * 4
    assert memory_of(write_tflite(graph)).live_tensor_peak_bytes == 3 * each


def test_a_reshaped_value_is_memory_of_its_own_unless_views_are_shared(models):
    network = Network.parse(models.files["int8.tflite"], "x.tflite")
    sizes = [0] * len(network.tensors)
    sizes[4], sizes[6] = 100, 100  # pool and flat, its reshape
    assert live_peak_bytes(network, sizes) == 200
    assert live_peak_bytes(network, sizes, views=True) == 100


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", ["int8.tflite", "float.tflite", "foreign.tflite"])
def test_the_arena_holds_the_live_values_and_the_kernels_scratch_memory(name, batch, models):
    found = memory_of(models.files[name], batch)
    width = 4 if name.startswith("float") else 1
    scratch = 26 * 26 * 9 * width * batch  # the convolution's windows as rows of a matrix
    # the convolution's input, output and scratch memory are live together; the input stays to the end
    least = (INPUT + CONV) * width * batch + scratch
    values = (INPUT + CONV + POOL + LOGITS) * width * batch + scratch
    assert least <= found.arena_bytes <= values + 6 * ALIGNMENT


def test_the_arena_is_what_the_process_grows_by(models):
    batch = 1500
    with LiteRtRunner(models.files["float.tflite"]) as runner:
        said = activation_memory(runner, batch=batch).arena_bytes
        before = resident_bytes()
        interpreter = runner.fresh_interpreter(batch=batch, resolver="BUILTIN_WITHOUT_DEFAULT_DELEGATES")
        interpreter.set_tensor(0, np.ones((batch, 28, 28, 1), np.float32))
        interpreter.invoke()
        grown = resident_bytes() - before
    assert said > 40 << 20
    # matrix kernels pack their operands in buffers of their own, beside the arena
    assert 0.9 * said < grown < 1.6 * said


def test_a_profile_tells_both(models, tmp_path, capsys):
    (path,) = models.write(tmp_path, "int8.tflite")
    assert main(["profile", path, "--data", "digits", "--trust", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["live_tensor_peak_bytes"] == INPUT + CONV
    assert value["arena_bytes"] >= INPUT + CONV
    assert main(["profile", path, "--data", "digits", "--trust"]) == 0
    out = capsys.readouterr().out
    assert "At most 3,488 bytes of values are needed at once" in out
    assert "XNNPACK keeps its values in memory of its own" in out


def test_a_benchmarks_rows_tell_both_for_tflite_files_only(models, digits, tmp_path):
    paths = models.write(tmp_path, "float.onnx", "int8.tflite")
    some = Split(images=digits.test.images[:10], labels=digits.test.labels[:10])
    quick = Effort(min_time_s=0.01, min_runs=3, min_rounds=2, max_time_s=0.5, max_warmup_s=0.05)
    targets = [
        Target(name="original", path=paths[0], runtime="onnxruntime"),
        Target(name="int8 tflite", path=paths[1], runtime="litert"),
    ]
    measured = measure_targets(targets, some, plan=Plan(batches=(1,), effort=quick))
    onnx, tflite = rows_of("edges", "digits", measured)
    assert (onnx.arena_bytes, onnx.live_tensor_peak_bytes) == (None, None)
    assert tflite.live_tensor_peak_bytes == INPUT + CONV
    assert tflite.arena_bytes >= tflite.live_tensor_peak_bytes
    table = files_table([onnx, tflite]).splitlines()
    assert "live values" in table[0]
    assert "3.49 kB" in table[3]
