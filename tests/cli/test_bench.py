"""`mnist-bench`: arguments, comparison with an earlier run, and one small run from end to end."""

import dataclasses
import json
import subprocess
import sys

import pytest

from mnist_export.cli.bench import build_parser, job_of, main
from mnist_export.core.errors import InputError
from mnist_export.report.benchmark import Benchmark, BenchmarkRow
from mnist_export.runtime.environment import Environment


def job(*words):
    return job_of(build_parser().parse_args(list(words)), "")


def row(precision="int8", **figures):
    defaults = {
        "model": "lenet5",
        "data": "digits",
        "runtime": "litert",
        "precision": precision,
        "top1": 0.99,
        "agreement": 0.999,
        "size_bytes": 70_000,
        "peak_memory_bytes": 10 << 20,
        "vs_onnx_float": 0.7,
        "vs_onnx_float_interval": (0.69, 0.71),
    }
    return BenchmarkRow(**{**defaults, **figures})


@pytest.fixture
def saved(tmp_path):
    def write(name, *rows):
        machine = Environment(cpu="one", threads=1, versions={})
        path = tmp_path / name
        path.write_text(Benchmark(environment=machine, rows=rows, images=400).to_json())
        return str(path)

    return write


def test_quick_measures_two_precisions_at_two_batch_sizes():
    found = job("--quick")
    assert found.precisions == ("float32", "int8")
    assert (found.plan.batches, found.plan.threads) == ((1, 256), (1,))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--precisions", "int9"), "Did you mean 'int8'"),
        (("--formats", "tflit"), "Did you mean 'tflite'"),
        (("--formats", ","), "unknown format"),
        (("--models", ","), "at least one name"),
        (("--batches", "1,x"), "whole numbers"),
        (("--batches", "0"), "from 1 to"),
        (("--images", "0"), "at least 1"),
        (("--max-slowdown", "-5"), "factors of 1 or more"),
    ],
)
def test_bad_arguments_are_refused_with_a_hint(words, message):
    with pytest.raises(InputError, match=message):
        job(*words)


def test_nothing_worse_passes(saved, capsys):
    old, new = saved("old.json", row()), saved("new.json", row(vs_onnx_float=0.72))
    assert main(["--results", new, "--compare", old]) == 0
    assert "PASS: none of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("figures", "figure"),
    [
        ({"top1": 0.988}, "top1"),
        ({"agreement": 0.99}, "agreement"),
        ({"size_bytes": 80_000}, "size_bytes"),
        ({"peak_memory_bytes": 40 << 20}, "peak_memory_bytes"),
        ({"vs_onnx_float": 0.9, "vs_onnx_float_interval": (0.89, 0.91)}, "vs_onnx_float"),
    ],
)
def test_each_figure_that_became_worse_fails_the_run(saved, capsys, figures, figure):
    old, new = saved("old.json", row()), saved("new.json", row(**figures))
    assert main(["--results", new, "--compare", old]) == 1
    failed = [line for line in capsys.readouterr().out.splitlines() if "| FAIL " in line]
    assert len(failed) == 1
    assert f"| {figure} " in failed[0]


def test_a_slower_ratio_within_the_intervals_is_no_regression(saved):
    old = saved("old.json", row(vs_onnx_float_interval=(0.6, 0.85)))
    new = saved("new.json", row(vs_onnx_float=0.9, vs_onnx_float_interval=(0.8, 1.0)))
    assert main(["-q", "--results", new, "--compare", old]) == 0


def test_a_ratio_without_an_interval_is_compared_as_it_is(saved):
    plain = {"vs_onnx_float": 1.0, "vs_onnx_float_interval": None}
    old, same = saved("old.json", row(**plain)), saved("same.json", row(**plain))
    slower = saved("slower.json", row(**{**plain, "vs_onnx_float": 1.2}))
    assert main(["-q", "--results", same, "--compare", old]) == 0
    assert main(["-q", "--results", slower, "--compare", old]) == 1


def test_runs_without_a_common_configuration_are_not_compared(saved, capsys):
    old, new = saved("old.json", row(precision="float16")), saved("new.json", row())
    assert main(["--results", new, "--compare", old]) == 2
    assert "none" in capsys.readouterr().err


def test_a_damaged_old_run_is_refused_before_anything_is_measured(tmp_path, capsys):
    damaged = tmp_path / "old.json"
    damaged.write_text('{"schema_version": 1')
    assert main(["--quick", "--compare", str(damaged)]) == 2
    assert "old.json" in capsys.readouterr().err


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from mnist_export.cli.bench import main; main(['--help']);"
        "print(sorted({'numpy', 'tensorflow', 'onnxruntime'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--compare" in done.stdout
    assert done.stderr.strip() == "[]"


def test_a_small_run_writes_figures_table_and_plots(brief, tmp_path, capsys):
    words = "--data digits --precisions int8 --formats tflite --images 60 --batches 1,8 --threads 1 --quick"
    assert main([*words.split(), "--json", "-o", str(tmp_path / "run.json")]) == 0
    text = capsys.readouterr().out
    found = Benchmark.from_json(text)
    assert json.loads((tmp_path / "run.json").read_text()) == json.loads(text)
    kinds = {(r.precision, r.runtime) for r in found.rows}
    assert kinds == {("float32", "keras"), ("float32", "onnxruntime"), ("int8", "litert")}
    assert {r.batch for r in found.rows} == {1, 8}
    for line in found.rows:
        assert line.latency_us.p50 <= line.latency_us.p90 <= line.latency_us.p99
        assert line.peak_memory_bytes > 0
        assert line.first_inference_ms > 0
        assert line.images_per_second == pytest.approx(line.batch / line.latency_us.p50 * 1e6)
        assert line.top1_interval[0] <= line.top1 <= line.top1_interval[1]
    (first,) = [r for r in found.rows if r.runtime == "litert" and r.batch == 1]
    assert first.vs_original < 1  # Keras takes over ten times as long at batch 1
    assert first.vs_onnx_float_interval[0] <= first.vs_onnx_float <= first.vs_onnx_float_interval[1]
    assert "# Benchmark" in (tmp_path / "run.md").read_text()
    for plot in ("accuracy-over-size", "latency", "throughput-over-batch"):
        assert (tmp_path / f"run-{plot}.png").read_bytes().startswith(b"\x89PNG")
    assert dataclasses.asdict(found)["images"] == 60
