from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mnist_export.core.errors import InputError, MissingExtraError
from mnist_export.report.benchmark import Benchmark, BenchmarkRow
from mnist_export.report.plots import (
    accuracy_over_size,
    benchmark_plots,
    latency_bars,
    throughput_over_batch,
)
from mnist_export.runtime.environment import Environment
from mnist_export.runtime.timing.figures import Latency


@pytest.fixture
def benchmark() -> Benchmark:
    rows = tuple(
        BenchmarkRow(
            model=model,
            runtime=runtime,
            precision=precision,
            batch=batch,
            top1=0.99 if precision == "int8" else 0.992,
            size_bytes=70_000 if precision == "int8" else 250_000,
            latency_us=Latency(p50=30.0 * batch, p90=33.0 * batch, p99=45.0 * batch),
            images_per_second=30_000.0 * batch**0.3,
        )
        for model in ("lenet5", "custom2")
        for runtime in ("litert", "onnxruntime")
        for precision in ("float32", "int8")
        for batch in (1, 8, 64)
    )
    return Benchmark(environment=Environment(cpu="x", threads=1, versions={}), rows=rows)


def test_a_benchmark_reads_back_as_it_was_written(benchmark: Benchmark) -> None:
    assert Benchmark.from_json(benchmark.to_json()) == benchmark


def test_a_damaged_benchmark_is_refused(benchmark: Benchmark) -> None:
    with pytest.raises(InputError, match="batch"):
        Benchmark.from_json(benchmark.to_json().replace('"batch": 8', '"batch": 0'))


def test_every_plot_is_a_picture_with_something_on_it(benchmark: Benchmark) -> None:
    plots = benchmark_plots(benchmark)
    assert list(plots) == ["accuracy-over-size", "latency", "throughput-over-batch"]
    for png in plots.values():
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
        assert min(pixels.shape) > 300
        assert (pixels < 128).mean() > 0.002


def test_the_same_benchmark_gives_the_same_bytes(benchmark: Benchmark) -> None:
    assert latency_bars(benchmark.rows) == latency_bars(benchmark.rows)


def test_a_plot_without_figures_says_what_it_needs() -> None:
    rows = [BenchmarkRow(model="a", runtime="b", precision="int8")]
    for plot in (accuracy_over_size, latency_bars, throughput_over_batch):
        with pytest.raises(InputError, match="found none"):
            plot(rows)


def test_without_matplotlib_the_command_to_install_it_is_named(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mnist-export\[convert\]'"):
        latency_bars(benchmark.rows)


def test_the_room_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'tf_keras', 'onnx', 'tf2onnx', 'matplotlib', 'onnxruntime'):\n"
        "    sys.modules[name] = None\n"
        "import mnist_export.report.write, mnist_export.report.plots, mnist_export.report.markdown\n"
        "import mnist_export.report.junit, mnist_export.report.html\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
