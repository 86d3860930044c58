"""What the tests of hostile input share: one way to run a command and to say that it refused properly.

A refusal is: exit code 2, exactly one line on stderr (native libraries' chatter counts too), no traceback,
nothing on stdout, every file around as it was, no code of the file run (a marker stays absent), and memory
that stays within a bound.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

MIB = 1 << 20
Main = Callable[[Sequence[str]], int]


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended.

    Attributes:
        code: its exit code.
        out: its stdout.
        err: its stderr, with what native code wrote.
        grown_bytes: by how much the process's peak of resident memory lay over what it had before.
    """

    code: int
    out: str
    err: str
    grown_bytes: int


def _resident(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def snapshot(*folders: Path) -> dict[str, str]:
    """Every file, link and folder below some folders, with a hash of what it holds."""
    found = {}
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_symlink():
                found[str(path)] = f"link to {path.readlink()}"
            elif path.is_file():
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                found[str(path)] = "folder"
    return found


@pytest.fixture(scope="session", autouse=True)
def _session_cache(tmp_path_factory):
    """Fixtures of the session keep out of the user's cache, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_EXPORT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.fixture(autouse=True)
def _short_timing(short_timing):
    """Hostile input is not about latency; `exported` and `golden` are made with all that a user gets."""


@pytest.fixture()
def marker(tmp_path) -> Path:
    """A file that exists only if something hostile was executed."""
    return tmp_path / "EXECUTED"


@pytest.fixture()
def run(capfd) -> Callable[..., Done]:
    """Run a command in this process, stderr of native code included."""

    def call(main: Main, *words: object) -> Done:
        capfd.readouterr()
        _forget_peak()
        before = _resident("VmRSS")
        try:
            code = main([str(word) for word in words])
        except SystemExit as stop:  # argparse
            code = stop.code if isinstance(stop.code, int) else -1
        peak = _resident("VmHWM")
        out, err = capfd.readouterr()
        return Done(code=code, out=out, err=err, grown_bytes=max(0, peak - before))

    return call


@pytest.fixture()
def out(tmp_path) -> Path:
    """An output folder with somebody's files in it."""
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "net.int8.tflite").write_bytes(b"of an earlier run")
    return folder


@pytest.fixture()
def refuses(run, out, tmp_path, marker) -> Callable[..., str]:
    """Assert that a command refuses its input; returns the one line."""

    def check(main: Main, *words: object, says: str, memory_mib: int = 256) -> str:
        before = snapshot(tmp_path)
        done = run(main, *words)
        assert done.code == 2, f"exit code {done.code}: {done.err}{done.out}"
        lines = done.err.splitlines()
        assert "Traceback" not in done.err
        assert len(lines) == 1, done.err
        line = lines[0]
        assert line.startswith("error: "), line
        assert "internal error" not in line, line
        assert re.search(says, line), f"expected /{says}/ in: {line}"
        assert len(line) < 1000, line
        assert line.isprintable(), ascii(line)
        assert done.out == ""
        after = {k: v for k, v in snapshot(tmp_path).items() if not k.startswith(str(tmp_path / "cache"))}
        before = {k: v for k, v in before.items() if not k.startswith(str(tmp_path / "cache"))}
        assert after == before
        assert not marker.exists(), "code of the file was run"
        assert done.grown_bytes < memory_mib * MIB, f"{done.grown_bytes / MIB:.0f} MiB"
        return line

    return check


@pytest.fixture(scope="session")
def export_main() -> Main:
    from mnist_export.cli.export import main

    return main


@pytest.fixture(scope="session")
def parity_main() -> Main:
    from mnist_export.cli.parity import main

    return main


@pytest.fixture(scope="session")
def train_main() -> Main:
    from mnist_export.cli.train import main

    return main


@pytest.fixture(scope="session")
def keras():
    """Keras 3 on TensorFlow, with tf_keras imported too, so that no test pays or measures that."""
    from mnist_export.models.structure.engine import tensorflow, tf_keras

    tensorflow()
    tf_keras()
    import keras

    return keras


@pytest.fixture(scope="session")
def net(keras, digits):
    """A small classifier of the digits that is right on most of them, in a second."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.MaxPooling2D(2, name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(32, activation="relu", name="hidden"),
            layers.Dense(10, name="last"),
        ],
        name="net",
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(digits.train.images / np.float32(255), digits.train.labels, epochs=12, batch_size=64, verbose=0)
    plain = keras.models.clone_model(model)  # without the optimizer, so that its files are small
    plain.set_weights(model.get_weights())
    return plain


@pytest.fixture(scope="session")
def net_files(net, tmp_path_factory) -> dict[str, bytes]:
    """The classifier as ``.keras``, ``.h5`` and weights only."""
    folder = tmp_path_factory.mktemp("net")
    import warnings

    net.save(folder / "net.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net.save(folder / "net.h5")
    net.save_weights(folder / "net.weights.h5")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="session")
def exported(net_files, export_main, tmp_path_factory) -> Path:
    """A folder that mnist-export wrote for the classifier: int8, both formats."""
    folder = tmp_path_factory.mktemp("exported")
    (folder / "net.keras").write_bytes(net_files["net.keras"])
    words = ["-m", folder / "net.keras", "--data", "digits", "--format", "tflite,onnx", "--int8", "-q"]
    assert export_main([str(word) for word in [*words, "-o", folder / "out"]]) == 0
    return folder / "out"


@pytest.fixture(scope="session")
def golden(net_files, parity_main, tmp_path_factory) -> Path:
    """The classifier's answers to the digits."""
    folder = tmp_path_factory.mktemp("golden")
    (folder / "net.keras").write_bytes(net_files["net.keras"])
    words = ["record", folder / "net.keras", "--data", "digits", "--no-latency", "-q"]
    assert parity_main([str(word) for word in [*words, "-o", folder / "golden.npz"]]) == 0
    return folder / "golden.npz"


@pytest.fixture(scope="session")
def edit_json():
    """Change a JSON text by a function on its value."""

    def edit(text: bytes | str, change: Callable[[dict], None]) -> str:
        value = json.loads(text)
        change(value)
        return json.dumps(value)

    return edit
