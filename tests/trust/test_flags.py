"""Arguments and settings that make no sense: one line, exit code 2, before any work is done."""

from __future__ import annotations

import shutil

import pytest

HUGE = "9" * 400
FAR_TOO_LONG = "9" * 6000


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--bogus"], "--bogus"),
        (["--bogus\x1b[2J"], "--bogus"),
        (["--max-drop", "nan"], "drop"),
        (["--max-drop", "inf"], "drop"),
        (["--max-drop", "zero"], "--max-drop"),
        (["--min-agreement", "nan"], "agreement"),
        (["--min-agreement", "101"], "agreement"),
        (["--min-agreement", "-5"], "agreement"),
        (["--calibration-samples", "0"], "--calibration-samples"),
        (["--calibration-samples", "-5"], "--calibration-samples"),
        (["--calibration-samples", HUGE], "--calibration-samples"),
        (["--calibration-samples", FAR_TOO_LONG], "--calibration-samples"),
        (["--calibration-samples", "3.5"], "--calibration-samples"),
        (["--threads", "0"], "--threads"),
        (["--threads", "-1"], "--threads"),
        (["--threads", "1000000"], "--threads"),
        (["--threads", HUGE], "--threads"),
        (["--seed", "-1"], "--seed"),
        (["--seed", HUGE], "--seed"),
        (["--input-range", "0"], "--input-range"),
        (["--input-range", "1,1"], "range"),
        (["--input-range", "nan,1"], "range"),
        (["--input-range", "0,1e999"], "range"),
        (["--format", ""], "format"),
        (["--format", "tflite,exe"], "exe"),
        (["--format", "../../x"], "format"),
        (["--precision", "int3"], "int3"),
        (["--io", "int77"], "int77"),
        (["--calibration-method", "magic"], "magic"),
        (["--data", ""], "data"),
        (["--data", "\0"], "data"),
        (["--data", "../nowhere/at/all.npz"], "data"),
        (["-m", "no-such-net"], "no-such-net"),
        (["-m", "\0"], "architecture|model"),
        (["-m", "x" * 5000], "architecture|model"),
        (["-m", "../nowhere.keras"], "nowhere.keras"),
        (["-o", "\0"], "-o|cannot"),
        (["-o", "x" * 5000], "-o|cannot"),
    ],
    ids=lambda value: "_".join(value)[:30].replace("\0", "NUL") if isinstance(value, list) else None,
)
def test_mnist_export(refuses, export_main, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    refuses(export_main, "-m", "mlp", "--data", "digits", "-q", "-o", tmp_path / "new", *words, says=says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "COMMAND"),
        (["nothing"], "nothing"),
        (["check"], "REFERENCE"),
        (["check", "{golden}"], "CANDIDATE"),
        (["check", "{golden}", "{tflite}", "--images", "0"], "--images"),
        (["check", "{golden}", "{tflite}", "--images", "-3"], "--images"),
        (["check", "{golden}", "{tflite}", "--threads", "0"], "--threads"),
        (["check", "{golden}", "{tflite}", "--threads", "1000000"], "--threads"),
        (["check", "{golden}", "{tflite}", "--max-drop", "nan"], "drop"),
        (["check", "{golden}", "{tflite}", "--kernels", "fast"], "fast"),
        (["check", "{golden}", "{tflite}", "--input-range", "nan,nan"], "range"),
        (["check", "{golden}", "missing.tflite"], "missing.tflite"),
        (["check", "missing.keras", "{tflite}", "--data", "digits"], "missing.keras"),
        (["record", "{tflite}", "-o", "golden.txt"], ".npz"),
        (["record", "{tflite}", "-o", "."], ".npz"),
        (["verify", "missing"], "missing"),
        (["verify", "."], "manifest"),
        (["verify", "{golden}"], "folder"),
    ],
    ids=lambda value: "_".join(value)[:40] if isinstance(value, list) else None,
)
def test_mnist_parity(refuses, parity_main, exported, golden, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    places = {"{golden}": golden, "{tflite}": exported / "net.int8.tflite"}
    refuses(parity_main, *(places.get(word, word) for word in words), says=says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("max_drop = 1", "max_drop"),
        ("max_drop_pp = nan", "drop"),
        ("max_drop_pp = true", "drop"),
        ("max_drop_pp = [1]", "drop"),
        ("min_agreement_pct = 100.5", "agreement"),
        ("min_agreement_pct = " + "9" * 500, "agreement|number"),
        ("[parity\n", "TOML"),
        ("parity = 3", "parity"),
        ("\x00", "TOML"),
        ("x = " + "[" * 5000 + "]" * 5000, "TOML|parity"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_parity_toml(refuses, parity_main, exported, golden, tmp_path, text, says):
    (tmp_path / "parity.toml").write_text(text)
    words = ("check", golden, exported / "net.int8.tflite", "--data", "digits", "-q")
    refuses(parity_main, *words, "--config", tmp_path / "parity.toml", says=says)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["mlp", "--epochs", "0"], "--epochs"),
        (["mlp", "--epochs", "-1"], "--epochs"),
        (["mlp", "--epochs", HUGE], "--epochs"),
        (["mlp", "--batch-size", "0"], "--batch-size"),
        (["mlp", "--batch-size", "99999999999"], "--batch-size"),
        (["mlp", "--lr", "nan"], "--lr"),
        (["mlp", "--lr", "inf"], "--lr"),
        (["mlp", "--lr", "-1"], "--lr"),
        (["mlp", "--augment", "shift=nan"], "shift"),
        (["mlp", "--augment", "shift=1e300"], "shift"),
        (["mlp", "--augment", "import=1"], "import"),
        (["mlp", "--seed", "-1"], "seed"),
        (["mlp", "--seed", HUGE], "seed"),
        (["mlp", "--trainer", "magic"], "magic"),
        (["mlp", "--recipe", "../x"], "recipe"),
        (["mlp", "--strategy", "magic"], "magic"),
        (["mlp", "-o", "net.exe"], ".keras"),
        (["nonet"], "nonet"),
        (["../mlp"], "mlp"),
    ],
    ids=lambda value: "_".join(value)[:40] if isinstance(value, list) else None,
)
def test_mnist_train(refuses, train_main, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    refuses(train_main, *words, "--data", "digits", "-q", says=says)


@pytest.fixture()
def model(net_files, tmp_path):
    path = tmp_path / "net.keras"
    path.write_bytes(net_files["net.keras"])
    return path


@pytest.mark.parametrize("option", ["--junit", "--summary"])
def test_an_export_does_not_write_its_side_files_over_the_model(refuses, export_main, model, out, option):
    words = ("-m", model, "--data", "digits", "--int8", "-q", "-o", out)
    refuses(export_main, *words, option, model, says=f"{option}.*the model")


@pytest.mark.parametrize("option", ["--junit", "--summary"])
def test_an_export_does_not_write_its_side_files_over_an_output(refuses, export_main, model, out, option):
    words = ("-m", model, "--data", "digits", "--int8", "-q", "-o", out)
    refuses(export_main, *words, option, out / "net.int8.tflite", says=f"{option}")


def test_an_export_does_not_write_over_the_model_through_a_link(refuses, export_main, model, out, tmp_path):
    link = tmp_path / "link.xml"
    link.symlink_to(model)
    words = ("-m", model, "--data", "digits", "--int8", "-q", "-o", out)
    refuses(export_main, *words, "--summary", link, says="--summary.*the model")


@pytest.mark.parametrize("option", ["--junit", "--summary"])
@pytest.mark.parametrize("name", ["reference", "candidate"])
def test_a_check_does_not_write_over_what_it_checks(
    refuses, parity_main, exported, golden, tmp_path, option, name
):
    reference = shutil.copy(golden, tmp_path / "golden.npz")
    candidate = shutil.copy(exported / "net.int8.tflite", tmp_path / "net.tflite")
    target = {"reference": reference, "candidate": candidate}[name]
    words = ("check", reference, candidate, "--data", "digits", "-q", "--no-latency")
    refuses(parity_main, *words, option, target, says=option)
