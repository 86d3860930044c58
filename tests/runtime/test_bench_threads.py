"""One run over several numbers of threads: rows, tables, plots and comparisons keep them apart."""

from dataclasses import replace

import pytest

from mnist_export.data import Split
from mnist_export.parity.versions import measure_targets
from mnist_export.report.benchmark import Benchmark
from mnist_export.report.benchmark_compare import compare_benchmarks
from mnist_export.report.benchmark_rows import ORIGINAL, rows_of
from mnist_export.report.benchmark_table import benchmark_markdown
from mnist_export.report.plots import benchmark_plots
from mnist_export.runtime.bench.measuring import Plan, Target
from mnist_export.runtime.environment import Environment
from mnist_export.runtime.timing.latency import Effort

EFFORT = Effort(min_time_s=0.02, min_runs=5, min_rounds=3, max_time_s=0.5, max_warmup_s=0.05)


@pytest.fixture(scope="module")
def benchmark(models, digits, tmp_path_factory):
    paths = models.write(tmp_path_factory.mktemp("bench"), "float.onnx", "int8.tflite")
    targets = [
        Target(name=ORIGINAL, path=paths[0], runtime="onnxruntime"),
        Target(name="int8 tflite", path=paths[1], runtime="litert"),
    ]
    some = Split(images=digits.test.images[:20], labels=digits.test.labels[:20])
    plan = Plan(batches=(1, 4), threads=(1, 2), effort=EFFORT)
    rows = rows_of("edges", "digits", measure_targets(targets, some, plan=plan, baselines=(ORIGINAL,)))
    return Benchmark(environment=Environment(cpu="x", threads=2, versions={}, cores=2), rows=rows)


def test_every_number_of_threads_has_rows_of_its_own(benchmark):
    found = [(row.runtime, row.threads, row.batch) for row in benchmark.rows]
    assert found == [
        (runtime, threads, batch)
        for runtime in ("onnxruntime", "litert")
        for threads in (1, 2)
        for batch in (1, 4)
    ]
    assert len({row.key for row in benchmark.rows}) == 8
    assert all(row.vs_original > 0 for row in benchmark.rows)


def test_the_page_shows_files_once_and_speed_for_every_number_of_threads(benchmark):
    page = benchmark_markdown(benchmark)
    files, _, speed = page.partition("## Images per second")
    assert "Latency at batch 1 on 1 thread." in files
    assert files.count("| litert ") == 1
    assert [line.split("|")[4].strip() for line in speed.splitlines() if "litert" in line] == ["1", "2"]


def test_plots_name_the_threads(benchmark, monkeypatch):
    from matplotlib.axes import Axes

    names = []
    set_yticks = Axes.set_yticks

    def noted(self, ticks, labels=None, **options):
        names.extend(labels or [])
        return set_yticks(self, ticks, labels, **options)

    monkeypatch.setattr(Axes, "set_yticks", noted)
    benchmark_plots(benchmark)
    assert "edges int8, litert, 1 thread" in names
    assert "edges int8, litert, 2 threads" in names


def test_each_number_of_threads_is_compared_with_its_own(benchmark):
    def slower(row):
        if row.runtime != "litert":
            return row
        ratio = 0.5 if row.threads == 1 else 0.9
        return replace(row, vs_onnx_float=ratio, vs_onnx_float_interval=(ratio, ratio))

    def fast(row):
        return replace(row, vs_onnx_float=0.5, vs_onnx_float_interval=(0.5, 0.5))

    old = replace(benchmark, rows=tuple(fast(row) for row in benchmark.rows))
    new = replace(benchmark, rows=tuple(slower(row) for row in old.rows))
    failed = compare_benchmarks(old, new).failed
    assert [change.name for change in failed] == [
        "edges int8, litert, batch 1, 2 thr.",
        "edges int8, litert, batch 4, 2 thr.",
    ]
