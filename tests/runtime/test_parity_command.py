"""mnist-parity check and record from the command line: exit codes, streams, files."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mnist_export.cli.parity import main

DATA = ["--data", "digits"]
QUICK = [*DATA, "--no-latency", "--trust"]  # trusted: no trial process


@pytest.fixture
def files(models, tmp_path):
    models.write(tmp_path, *models.files)
    return {name: str(tmp_path / name) for name in models.files}


@pytest.fixture
def broken(models, tmp_path):
    """The sound int8 file with its dense weights reversed."""
    from dataclasses import replace

    from mnist_export.core.graph.tflite_writer import write_tflite

    dense = models.graph.tensors[7]
    path = tmp_path / "broken.tflite"
    content = write_tflite(models.graph.with_tensors({7: replace(dense, data=dense.data[:, ::-1].copy())}))
    path.write_bytes(content)
    return str(path)


def test_sound_candidates_pass_with_a_table_on_stdout(files, capsys):
    assert main(["check", files["float.onnx"], files["int8.tflite"], files["int8.onnx"], *QUICK]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("PASS")
    assert out.count("| pass") == 2
    assert "400 images" in err
    assert "XNNPACK" not in err


def test_a_damaged_candidate_fails_with_exit_code_1(files, broken, capsys):
    assert main(["check", files["float.onnx"], files["int8.tflite"], broken, *QUICK, "-q"]) == 1
    out, _ = capsys.readouterr()
    assert "broken.tflite" in out
    assert "more than chance" in out


def test_json_is_the_report_and_nothing_else(files, capsys):
    assert main(["check", files["float.tflite"], files["int8.tflite"], *DATA, "--json", "-q"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema_version"] == 1
    assert report["verdict"] == "pass"
    artifact = report["artifacts"][0]
    assert artifact["precision"] == "int8"
    assert artifact["latency_us"]["p50"] > 0
    assert artifact["vs_original"] > 0
    assert report["reference"]["latency_us"]["p50"] > 0
    assert report["data"] == report["data"] | {"name": "digits", "images": 400}
    assert report["environment"]["versions"]["numpy"] == np.__version__


def test_reports_and_junit_are_written_also_when_a_verdict_fails(files, broken, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [
        "check",
        files["float.tflite"],
        broken,
        *QUICK,
        "-o",
        str(out),
        "--junit",
        str(tmp_path / "j.xml"),
    ]
    arguments.append("--layers")
    assert main(arguments) == 1
    assert json.loads((out / "broken.report.json").read_text())["verdict"] == "fail"
    layers = json.loads((out / "broken.report.json").read_text())["artifacts"][0]["layers"]
    assert [(layer["name"], layer["exceeds"]) for layer in layers] == [
        ("conv/Relu", False),
        ("pool", False),
        ("logits", True),
    ]
    assert "<html" in (out / "broken.report.html").read_text()[:500]
    assert int(ET.parse(tmp_path / "j.xml").getroot().get("failures")) >= 1
    summary = tmp_path / "summary.md"
    assert main(["check", files["float.tflite"], broken, *QUICK, "--summary", str(summary)]) == 1
    assert "fail" in summary.read_text()
    capsys.readouterr()


def test_thresholds_come_from_flags_then_from_parity_toml(files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["check", files["float.tflite"], files["int8.tflite"], *QUICK]
    (tmp_path / "parity.toml").write_text("[parity]\nmax_drop_pp = -50\n")
    assert main(arguments) == 1
    assert main([*arguments, "--max-drop", "1"]) == 0
    (tmp_path / "parity.toml").write_text("max_dorp_pp = 1\n")
    assert main(arguments) == 2
    assert "Did you mean 'max_drop_pp'" in capsys.readouterr().err
    (tmp_path / "parity.toml").write_text("= damaged")
    assert main(arguments) == 2
    assert "expected TOML" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--max-drop", "nan"], "--max-drop"),
        (["--max-drop", "lots"], "--max-drop: expected a number"),
        (["--min-agreement", "101"], "--min-agreement"),
        (["--threads", "0"], "--threads"),
        (["--kernels", "xnpack"], "Did you mean 'xnnpack'"),
        (["--input-range", "1,1"], "--input-range"),
        (["--images", "0"], "--images"),
        (["--data", "digitz"], "digits"),
    ],
)
def test_bad_options_end_in_one_line_and_exit_code_2(files, options, text, capsys):
    assert main(["check", files["float.tflite"], files["int8.tflite"], *QUICK, *options]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert err.strip().splitlines()[-1].startswith("error: ")


def test_bad_files_end_in_one_line_and_exit_code_2(files, tmp_path, capsys):
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "text.tflite").write_text("not a model at all")
    for candidate in ("empty.onnx", "text.tflite", "absent.onnx"):
        assert main(["check", files["float.tflite"], str(tmp_path / candidate), *QUICK]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert candidate in err.splitlines()[-1]
        assert "Traceback" not in err


def test_record_then_check_without_the_original(files, tmp_path, capsys):
    golden = str(tmp_path / "golden.npz")
    assert main(["record", files["float.onnx"], "-o", golden, *DATA]) == 0
    assert "top-1" in capsys.readouterr().out
    # the data set is the recording's own where none is named
    assert main(["check", golden, files["int8.tflite"], files["int8.onnx"], "-q"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("PASS")
    assert main(["check", golden, files["int8.tflite"], "--images", "50"]) == 2
    assert "recorded on 400 images" in capsys.readouterr().err


def test_a_recording_is_only_a_reference(files, tmp_path, capsys):
    golden = str(tmp_path / "golden.npz")
    assert main(["record", files["float.onnx"], "-o", golden, *QUICK, "-q"]) == 0
    assert main(["check", files["float.onnx"], golden, *QUICK]) == 2
    assert "only be the reference" in capsys.readouterr().err
    assert main(["record", golden, "-o", str(tmp_path / "again.npz"), *QUICK]) == 2


def test_record_refuses_to_overwrite_the_model_or_another_kind_of_name(files, tmp_path, capsys):
    assert main(["record", files["float.onnx"], "-o", files["float.onnx"], *QUICK]) == 2
    assert "ends in .npz" in capsys.readouterr().err
    assert main(["record", files["float.onnx"], "-o", str(tmp_path / "no" / ".." / "x.npz"), *QUICK]) == 0
    capsys.readouterr()


def test_no_command_and_unknown_commands_are_usage_errors(capsys):
    assert main([]) == 2
    assert main(["chek"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_two_kernels_of_one_file_are_compared(files, capsys):
    int8 = files["int8.tflite"]
    assert main(["check", int8, int8, *QUICK, "--kernels", "xnnpack,reference", "--json", "-q"]) == 0
    logits = json.loads(capsys.readouterr().out)["artifacts"][0]["logits"]
    assert logits["max_error_steps"] <= 2.001
    assert main(["check", int8, int8, *QUICK, "--kernels", "a,b,c"]) == 2
    assert "one or two names" in capsys.readouterr().err


def test_pinning_is_accepted_where_no_keras_model_takes_part(files, capsys):
    assert main(["check", files["float.onnx"], files["int8.onnx"], *DATA, "--pin", "--trust", "-q"]) == 0
    assert "left out" not in capsys.readouterr().err
