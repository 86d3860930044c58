"""`mnist-export` as a user runs it, on the embedded digits and shipped weights."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mnist_export.cli.export import main
from mnist_export.core.files import sha256_file

STEM = "lenet5-digits.int8"


def export(folder, *words):
    return main(["--data", "digits", "-o", str(folder), *words])


@pytest.fixture(scope="module")
def beside(tmp_path_factory):
    """The same export by a second process with another hash seed, while this one makes its own."""
    folder = tmp_path_factory.mktemp("beside")
    words = ["--format", "tflite,onnx", "--int8", "--data", "digits", "-o", folder, "-q"]
    command = [sys.executable, "-m", "mnist_export.cli.export", *words]
    with subprocess.Popen(command, env={**os.environ, "PYTHONHASHSEED": "7"}) as process:
        yield process, folder


@pytest.fixture(scope="module")
def exported(beside, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    assert export(folder, "--format", "tflite,onnx", "--int8") == 0
    return folder


def test_a_run_leaves_both_files_two_reports_and_their_hashes(exported):
    assert sorted(p.name for p in exported.iterdir() if not p.name.startswith(".")) == [
        f"{STEM}.manifest.json",
        f"{STEM}.onnx",
        f"{STEM}.report.html",
        f"{STEM}.report.json",
        f"{STEM}.report.sha256",
        f"{STEM}.tflite",
    ]


def test_the_report_holds_the_contracts_fields(exported):
    report = json.loads((exported / f"{STEM}.report.json").read_text())
    assert report["schema_version"] == 1
    assert report["verdict"] == "pass"
    assert {"name", "source", "parameters", "macs"} <= report["model"].keys()
    assert report["model"]["parameters"] == 61706
    assert {"name", "images", "calibration_images"} <= report["data"].keys()
    assert report["data"]["calibration_images"] == 300
    assert {"runtime", "device", "top1", "latency_us"} <= report["reference"].keys()
    assert {"cpu", "threads", "versions"} <= report["environment"].keys()
    assert report["timings_s"]["import tensorflow"] >= 0
    for artifact, fmt, runtime in zip(
        report["artifacts"], ("tflite", "onnx"), ("litert", "onnxruntime"), strict=True
    ):
        path = Path(artifact["path"])
        assert (artifact["format"], artifact["precision"], artifact["variant"]) == (fmt, "int8", "")
        assert artifact["runtime"] == runtime
        assert artifact["sha256"] == sha256_file(path)
        assert artifact["size_bytes"] == path.stat().st_size
        assert artifact["top1_interval"][0] <= artifact["top1"] <= artifact["top1_interval"][1]
        assert artifact["drop_pp"] == pytest.approx(100 * (report["reference"]["top1"] - artifact["top1"]))
        assert {"max_abs_error", "sqnr_db"} <= artifact["logits"].keys()
        assert artifact["latency_us"]["p50"] <= artifact["latency_us"]["p90"] <= artifact["latency_us"]["p99"]
        assert artifact["why"]


def test_litert_and_onnx_runtime_give_the_same_integers(exported, digits):
    import onnxruntime
    from ai_edge_litert.interpreter import Interpreter

    pixels = digits.test.images
    interpreter = Interpreter(model_content=(exported / f"{STEM}.tflite").read_bytes())
    (entry,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(entry["index"], pixels.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], (pixels.astype(np.int16) - 128).astype(np.int8))
    interpreter.invoke()
    lite = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    session = onnxruntime.InferenceSession(str(exported / f"{STEM}.onnx"), providers=["CPUExecutionProvider"])
    (onnx,) = session.run(None, {session.get_inputs()[0].name: pixels})
    assert np.array_equal(lite.astype(np.int16) + 128, onnx)


def test_a_second_process_with_another_hash_seed_writes_the_same_bytes(exported, beside):
    process, folder = beside
    assert process.wait() == 0
    for name in (f"{STEM}.tflite", f"{STEM}.onnx", f"{STEM}.manifest.json"):
        assert (folder / name).read_bytes() == (exported / name).read_bytes(), name


def test_with_json_stdout_holds_the_report_and_nothing_else(brief, tmp_path, capsys):
    assert export(tmp_path, "--format", "tflite", "--json") == 0
    assert json.loads(capsys.readouterr().out)["artifacts"][0]["precision"] == "float32"


def test_a_verdict_that_fails_exits_1_and_still_writes_everything(brief, tmp_path, monkeypatch):
    from mnist_export.quantize.post_training import builder

    real = builder.quantize_weights

    def damaged(weights, axis, **options):
        data, quant = real(weights, axis, **options)
        return np.roll(data, 1, axis=axis), quant

    monkeypatch.setattr(builder, "quantize_weights", damaged)
    assert export(tmp_path, "--format", "tflite", "--int8") == 1
    report = json.loads((tmp_path / f"{STEM}.report.json").read_text())
    assert report["verdict"] == report["artifacts"][0]["verdict"] == "fail"
    assert report["artifacts"][0]["drop_pp"] > 10
    assert (tmp_path / f"{STEM}.tflite").exists()
    assert report["next_command"] == f"{report['command']} --auto"


@pytest.mark.parametrize("precision", ["float16", "dynamic"])
def test_other_precisions_pass_in_both_formats(brief, tmp_path, precision):
    assert export(tmp_path, "--format", "tflite,onnx", "--precision", precision) == 0
    sizes = [p.stat().st_size for p in tmp_path.iterdir() if p.suffix in {".tflite", ".onnx"}]
    assert max(sizes) < 61706 * 4 * 0.6


def test_int16x8_is_written_for_tflite_and_refused_for_onnx(brief, tmp_path, capsys):
    assert export(tmp_path / "a", "--format", "tflite", "--precision", "int16x8") == 0
    assert export(tmp_path / "b", "--format", "onnx", "--precision", "int16x8") == 2
    assert "int16x8" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("io", ["int8", "uint8", "float32"])
def test_each_io_type_gives_the_same_verdict(brief, tmp_path, io):
    assert export(tmp_path, "--format", "tflite,onnx", "--int8", "--io", io) == 0
    report = json.loads((tmp_path / f"{STEM}.report.json").read_text())
    lite, onnx = report["artifacts"]
    assert lite["input_type"] == onnx["input_type"] == io
    assert lite["flips"] == onnx["flips"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--format", "tflit"], "unknown format 'tflit'"),
        (["--format", ","], "unknown format"),
        (["--precision", "int9"], "Did you mean 'int8'?"),
        (["-m", "lenet55"], "Did you mean 'lenet5'?"),
        (["-m", "nowhere.keras"], "no such file"),
        (["--int8", "--input-range", "1,1"], "--input-range"),
        (["--int8", "--calibration-samples", "0"], "--calibration-samples"),
        (["--int8", "--calibration-method", "minmxa"], "Did you mean 'minmax'?"),
        (["--int8", "--keep-float", "nolayer"], "no layer matches 'nolayer'"),
        (["--keep-float", "conv1"], "expected precision int8"),
        (["--io", "int8"], "--io int8"),
        (["--int8", "--io", "int4"], "unknown --io type"),
        (["--max-drop", "nan"], "max-drop"),
        (["--min-agreement", "101"], "min-agreement"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_bad_usage_is_one_line_exit_code_2_and_no_output(tmp_path, capsys, words, expected):
    assert export(tmp_path / "out", *words) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert expected in lines[-1]
    assert not (tmp_path / "out").exists()


def test_help_answers_at_once():
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "mnist_export.cli.export", "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "examples:" in done.stdout
    # 0.3 s on an idle machine; twice that where others work beside it
    assert time.perf_counter() - started < 0.6


def test_keeping_a_layer_in_float_is_carried_by_both_formats(brief, tmp_path):
    assert export(tmp_path, "--format", "tflite,onnx", "--int8", "--keep-float", "conv1*") == 0
    lite, onnx = json.loads((tmp_path / f"{STEM}.report.json").read_text())["artifacts"]
    assert lite["audit"]["weight_bytes"]["float32"] > 0
    assert onnx["audit"]["weight_bytes"]["float32"] > 0


def test_int8_on_real_mnist_loses_at_most_a_tenth_of_a_point(brief, tmp_path, real_mnist):
    assert real_mnist.name == "mnist"
    assert main(["--format", "tflite,onnx", "--int8", "--data", "mnist", "-o", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "lenet5-mnist.int8.report.json").read_text())
    assert report["data"]["images"] == 10_000
    assert report["reference"]["top1"] >= 0.992
    for artifact in report["artifacts"]:
        assert artifact["drop_pp"] <= 0.10


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_sub_model_that_ends_at_a_layer_is_judged_by_its_values(brief, tmp_path, precision):
    words = ["--format", "tflite,onnx", "--precision", precision, "--until", "pool2"]
    assert export(tmp_path, *words) == 0
    report = json.loads((tmp_path / f"lenet5-until-pool2-digits.{precision}.report.json").read_text())
    assert report["reference"]["top1"] is None
    for artifact in report["artifacts"]:
        assert artifact["top1"] is None
        assert artifact["checks"][0]["name"] == "SQNR"


def test_an_unknown_layer_to_end_at_is_refused_with_the_nearest(tmp_path, capsys):
    assert export(tmp_path / "out", "--until", "conv9") == 2
    assert "Did you mean 'conv" in capsys.readouterr().err
