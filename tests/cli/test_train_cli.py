from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mnist_export.cli.train import main

CODE = "from mnist_export.cli.train import main; raise SystemExit(main())"


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def _start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
    )


def test_help_is_quick_and_shows_examples() -> None:
    command = [sys.executable, "-c", CODE, "--help"]
    took = []
    for _ in range(3):  # the best of three: the machine may be busy with other things
        start = time.perf_counter()
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        took.append(time.perf_counter() - start)
    assert "mnist-train lenet5 " in result.stdout and "examples:" in result.stdout
    bare = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert min(took) - (time.perf_counter() - bare) < 0.3


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom mnist_export.cli.train import build_parser\nbuild_parser().format_help()\n"
        "print([m for m in ('numpy', 'tensorflow', 'keras') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_training_writes_model_card_table_and_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "out"
    arguments = ["mlp", "mlp512", "--data", "digits", "--epochs", "1", "-o", str(folder)]
    assert main([*arguments, "--figures", str(tmp_path / "figures")]) == 0
    captured = capsys.readouterr()
    assert {path.name for path in folder.iterdir()} == {
        "mlp-digits.keras", "mlp-digits.card.json", "mlp512-digits.keras", "mlp512-digits.card.json",
    }  # fmt: skip
    assert "test top-1" in captured.out and "next: mnist-export -m" in captured.out
    assert "epoch 1/1" in captured.err and "epoch 1/1" not in captured.out
    assert (tmp_path / "figures" / "confusion.png").stat().st_size > 1000
    assert not list((tmp_path / "cache").rglob("*.npz")), "a finished training leaves no checkpoint"


def test_json_is_all_that_stdout_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mlp", "--data", "digits", "--epochs", "1", "--trainer", "loop", "--json", "-q"]) == 0
    captured = capsys.readouterr()
    card: dict[str, Any] = json.loads(captured.out)[0]
    assert (card["architecture"], card["trainer"], card["epochs_run"]) == ("mlp", "loop", 1)
    assert captured.err == ""
    assert Path("mlp-digits.keras").exists()


def test_summary_lists_layer_names_of_architectures_and_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lenet5", "--summary"]) == 0
    assert "conv2" in capsys.readouterr().out
    assert main(["mlp", "--data", "digits", "--epochs", "1", "-q", "-o", "net.keras"]) == 0
    capsys.readouterr()
    assert main(["net.keras", "--summary"]) == 0
    assert "dense1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lenet"], "Did you mean 'lenet5'"),
        (["mlp", "--data", "digitz"], "Did you mean 'digits'"),
        (["mlp", "--trainer", "fitt"], "Did you mean 'fit'"),
        (["mlp", "--recipe", "seeds"], "Did you mean 'seed'"),
        (["mlp", "--strategy", "mirror", "--data", "digits"], "Did you mean 'mirrored'"),
        (["mlp", "--augment", "shft=1"], "Did you mean 'shift'"),
        (["mlp", "--epochs", "0"], "--epochs"),
        (["mlp", "--lr", "nan"], "--lr"),
        (["mlp", "--batch-size", "-3"], "--batch-size"),
        (["mlp", "--seed", "-1", "--data", "digits"], "--seed"),
        (["mlp", "mlp512", "-o", "one.keras"], "a folder"),
        (["mlp", "-o", "net.h5"], "ends in .keras"),
        (["mlp", "--data", "digits", "--gpu-memory", "0"], "--gpu-memory"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_arguments_are_one_line_and_exit_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(lines) == 1 and words in lines[0]
    assert not list(Path().iterdir())


def test_an_output_folder_that_is_a_file_is_found_before_training(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("taken").write_text("x")
    assert main(["mlp", "--data", "digits", "-o", "taken/net.keras"]) == 2
    captured = capsys.readouterr()
    assert "taken" in captured.err and "epoch" not in captured.err


def test_ctrl_c_leaves_one_line_and_the_next_run_goes_on(tmp_path: Path) -> None:
    arguments = ["mlp", "--data", "digits", "--epochs", "400"]
    process = _start(*arguments)
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 3/" in line:
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "Traceback" not in rest and rest.count("error:") == 1
    assert not Path("mlp-digits.keras").exists()
    again = _start(*arguments)
    assert again.stderr is not None
    seen = ""
    for line in again.stderr:
        seen += line
        if "epoch" in line and "resuming" not in line:
            break
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)
    assert again.returncode == 143
    assert "resuming after epoch" in seen
