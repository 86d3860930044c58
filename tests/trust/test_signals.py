"""Ctrl-C and SIGTERM at every stage, kill -9 at random moments: one line, whole files, runs that go on."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager

import pytest

from mnist_export.core.files import TEMPORARY_PREFIX

STAGES = ["data", "import tensorflow", "model", "lower", "quantize", "export", "check", "report"]


pytestmark = pytest.mark.usefixtures("brief")


@pytest.fixture()
def model(net_files, tmp_path):
    path = tmp_path / "net.keras"
    path.write_bytes(net_files["net.keras"])
    return path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_ends_an_export_with_one_line(run, export_main, model, out, monkeypatch, number, stage):
    from mnist_export.pipeline.stages import Stages

    real = Stages.stage

    @contextmanager
    def signalled(self, name, doing):
        with real(self, name, doing):
            if name == stage:
                os.kill(os.getpid(), number)
            yield

    monkeypatch.setattr(Stages, "stage", signalled)
    done = run(export_main, "-m", model, "--data", "digits", "--int8", "-q", "-o", out)
    assert done.code == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    lines = done.err.splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in done.err
    assert not list(out.glob(f"{TEMPORARY_PREFIX}*"))
    early = STAGES.index(stage) <= STAGES.index("export")
    assert ((out / "net.int8.tflite").read_bytes() == b"of an earlier run") is early
    assert (out / "net.int8.manifest.json").exists() is not early


def _process(module, words, **options):
    code = f"import sys; from mnist_export.cli.{module} import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_real_process_that_starts_tensorflow_ends_with_one_line(model, tmp_path, number):
    process = _process("export", ["-m", model, "--data", "digits", "-q", "-o", tmp_path / "new"])
    time.sleep(2.0)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number], err
    assert err.count("\n") == 1, err
    assert not (tmp_path / "new").exists()


WRITER = textwrap.dedent("""
    import sys
    from pathlib import Path
    from mnist_export.core.files import output_folder, write_atomic
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    print("ready", flush=True)
    while True:
        number += 1
        with output_folder(folder):
            write_atomic({folder / f"file{i}": b"%08d" % number * 20_000 for i in range(4)})
""")


def test_kill_9_while_files_are_written_breaks_none(tmp_path):
    """Twelve kills at random moments; each file is one run's, whole, renamed in order, never an older one."""
    rng = random.Random(7)
    folder = tmp_path / "out"
    oldest = newest = 0
    for _ in range(12):
        command = [sys.executable, "-c", WRITER, folder, str(newest)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        time.sleep(0.02 + rng.random() * 0.15)
        process.kill()
        process.communicate()
        numbers = []
        for path in sorted(folder.glob("file*")):
            content = path.read_bytes()
            assert content == content[:8] * 20_000, "a file of two runs"
            numbers.append(int(content[:8]))
        assert numbers == sorted(numbers, reverse=True)
        assert min(numbers, default=0) >= oldest
        oldest, newest = min(numbers, default=0), max(numbers, default=0)
    from mnist_export.core.files import output_folder

    with output_folder(folder):
        assert {path.name[:4] for path in folder.iterdir()} <= {"file", ".mni"}
        assert len(list(folder.glob(f"{TEMPORARY_PREFIX}*"))) == 1  # the lock
    assert not list(folder.glob(f"{TEMPORARY_PREFIX}*"))


def test_a_training_killed_with_kill_9_goes_on_and_ends_as_if_it_had_not_been(
    run, train_main, keras, tmp_path, monkeypatch
):
    words = ["mlp", "--data", "digits", "--epochs", "6", "-o"]
    cache = tmp_path / "killed-cache"
    environment = {**os.environ, "MNIST_EXPORT_CACHE": str(cache)}
    process = _process("train", [*words, tmp_path / "killed.keras"], env=environment)
    deadline = time.monotonic() + 120
    while not list(cache.glob("training/*.npz")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert not (tmp_path / "killed.keras").exists()

    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(cache))
    done = run(train_main, *words, tmp_path / "killed.keras")
    assert done.code == 0, done.err
    assert "epoch" in done.err.lower()
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "other-cache"))
    assert run(train_main, *words, tmp_path / "whole.keras", "-q").code == 0

    def weights(name):
        return json.loads((tmp_path / f"{name}.card.json").read_text())["weights_sha256"]

    assert weights("killed") == weights("whole")
