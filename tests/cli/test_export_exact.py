"""``mnist-export --exact``: files, certificates in manifest and report, integers compared."""

from __future__ import annotations

import json

import pytest

from mnist_export.cli.export import main
from mnist_export.cli.parity import main as parity
from mnist_export.parity.certificate.certifying import certify

STEM = "lenet5-digits.int8-exact"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exact")
    words = [
        "-m",
        "lenet5",
        "--exact",
        "--format",
        "tflite,onnx,c",
        "--data",
        "digits",
        "-o",
        str(folder),
        "-q",
    ]
    assert main(words) == 0
    return folder


def test_every_format_is_written_with_its_companions(exported):
    names = {path.name for path in exported.iterdir()}
    assert {
        f"{STEM}{e}" for e in (".tflite", ".onnx", ".c", ".h", ".selftest.c", ".mk", ".manifest.json")
    } <= names


def test_the_manifest_holds_the_certificates_of_the_files_bytes(exported):
    manifest = json.loads((exported / f"{STEM}.manifest.json").read_text())
    for extension in (".tflite", ".onnx"):
        name = f"{STEM}{extension}"
        assert manifest["certificates"][name] == certify((exported / name).read_bytes(), label=name).to_json()
        assert manifest["certificates"][name]["verdict"] == "pass"


def test_the_report_says_that_all_integers_are_identical(exported):
    report = json.loads((exported / f"{STEM}.report.json").read_text())
    assert report["verdict"] == "pass"
    for artifact in report["artifacts"]:
        checks = {check["name"]: check for check in artifact["checks"]}
        assert checks["identical integers"]["verdict"] == "pass"
        assert "identical: litert xnnpack" in checks["identical integers"]["why"]
        assert (artifact["certificate"] is None) == (artifact["format"] == "c")


def test_the_files_are_certified_again_by_the_command(exported):
    assert parity(["certify", str(exported / f"{STEM}.tflite"), str(exported / f"{STEM}.onnx"), "-q"]) == 0


def test_files_in_their_plain_form_have_other_layers_and_the_same_certificate(exported, brief, tmp_path):
    words = ["--exact", "--target", "portable", "--format", "tflite,onnx", "--data", "digits", "-q"]
    assert main([*words, "-o", str(tmp_path)]) == 0
    for extension in (".tflite", ".onnx"):
        fast, plain = (
            certify((folder / f"{STEM}{extension}").read_bytes()) for folder in (tmp_path, exported)
        )
        assert fast.to_json()["verdict"] == plain.to_json()["verdict"] == "pass"
        assert [layer.name for layer in fast.layers] != [layer.name for layer in plain.layers]
    report = json.loads((exported / f"{STEM}.report.json").read_text())
    assert sum("block_convolution" in note for note in report["notes"]) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["--exact", "--precision", "float32"],
        ["--exact", "--keep-float", "conv1"],
        ["--exact", "--symmetric"],
        ["--exact", "--sparsity", "0.5"],
        ["--exact", "--adaround"],
        ["--exact", "--calibration-method", "mse"],
    ],
)
def test_what_excludes_each_other_is_bad_usage(words, capsys, tmp_path):
    assert main(["-m", "lenet5", "--data", "digits", "-o", str(tmp_path / "out"), *words]) == 2
    assert "--exact" in capsys.readouterr().err
