"""A folder with the files that the documentation's commands name, and what runs those commands."""

from __future__ import annotations

import contextlib
import functools
import gzip
import importlib
import io
import os
import shlex
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mnist_export.data import load_dataset
from mnist_export.runtime.timing import latency

ROOT = Path(__file__).parents[2]
TRAIN, TEST = 400, 100


def _idx(path, array):
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def _data(folder, digits):
    """MNIST and Fashion-MNIST as IDX files: both are a part of the digits."""
    parts = {
        "train": (np.asarray(digits.train.images[:TRAIN]), np.asarray(digits.train.labels[:TRAIN])),
        "t10k": (np.asarray(digits.test.images[:TEST]), np.asarray(digits.test.labels[:TEST])),
    }
    for name in ("mnist", "fashion-mnist"):
        (folder / name).mkdir(parents=True)
        for part, (images, labels) in parts.items():
            _idx(folder / name / f"{part}-images-idx3-ubyte.gz", images.reshape(-1, 28, 28))
            _idx(folder / name / f"{part}-labels-idx1-ubyte.gz", labels.astype(np.uint8))
    return parts


def _files(folder, parts):
    from PIL import Image

    (x_train, y_train), (x_test, y_test) = parts["train"], parts["t10k"]
    np.savez(folder / "my-data.npz", x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)
    for name, images, labels in (("train", x_train, y_train), ("test", x_test, y_test)):
        for place, (image, label) in enumerate(zip(images, labels, strict=True)):
            target = folder / "folder-of-images" / name / f"class{label}"
            target.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.reshape(28, 28)).save(target / f"{place}.png")


_SPACE = """data = "mnist"
trials = 1
budget = "flash<=40kB"
[network]
family = "plain"
width = [2, 4]
stages = 1
[training]
epochs = 1
"""


def _settings(folder):
    """A space for the search, and results of a benchmark under the names that pages give them."""
    for name in ("space.toml", "tiny.toml"):
        (folder / name).write_text(_SPACE)
    results = ROOT / "benchmarks" / "results" / "benchmark.json"
    for name in (
        "kept.json",
        "old.json",
        "new.json",
        "results/kept.json",
        "benchmarks/results/benchmark.json",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(results, folder / name)
    (folder / "tests").mkdir()


def _models(folder):
    import keras

    from mnist_export.models.loading import load_model

    model = load_model("lenet5", load_dataset("mnist", notify=lambda _: None)).model
    model.save(folder / "lenet5.keras")
    model.save(folder / "mynet.keras")
    image = keras.Input(model.input_shape[1:])
    keras.Model(image, model(keras.layers.Rescaling(0.5, 0.5)(image))).save(folder / "mynet.h5")


def _spread(word):
    """What a shell makes of a word with a star."""
    return sorted(map(str, Path().glob(word))) if "*" in word else [word]


def _run(line, folder):
    """Run one command line in a folder; ours in this process, any other by a shell. Gives code and output."""
    words = shlex.split(line)
    if not words[0].startswith("mnist-") or any(word in {"|", ">", ">>"} for word in words):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line], cwd=folder, capture_output=True, text=True, timeout=250,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr
    started = time.monotonic()
    module = importlib.import_module(f"mnist_export.cli.{words[0].removeprefix('mnist-')}")
    output = io.StringIO()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = module.main([path for word in words[1:] for path in _spread(word)])
    finally:
        os.chdir(before)
    if log := os.environ.get("MNIST_EXPORT_DOCS_LOG"):  # which commands make the trial long
        with Path(log).open("a", encoding="utf-8") as sink:
            sink.write(f"{time.monotonic() - started:6.1f} s, code {code}: {line}\n")
    return code, output.getvalue()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, digits):
    """The folder that each page's trial begins with, the data and the cache beside it."""
    root = tmp_path_factory.mktemp("documentation")
    parts = _data(root / "data", digits)
    folder = root / "files"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_EXPORT_DATA", str(root / "data"))
        # no device is ready there, so that --exact asks none by itself
        patch.setenv("MNIST_EXPORT_CACHE", str(root / "cache"))
        short = functools.partial(
            latency.Effort, min_time_s=0.02, min_runs=10, min_rounds=5, max_warmup_s=0.1
        )
        patch.setattr(latency, "Effort", short)
        _files(folder, parts)
        _settings(folder)
        _run_all(
            folder,
            "mnist-export lenet5 --format tflite,onnx --int8 --data mnist -q",
            "mnist-export lenet5 --format tflite,onnx --data mnist -q",
            "mnist-export lenet5 --exact --format tflite,onnx,c --data mnist -q",
        )
        _models(folder)  # of the weights that the exports were made from
        _run_all(folder, "mnist-parity record lenet5.keras --data mnist -o golden.npz -q")
    for path in list((folder / "exports").iterdir()):  # other names that pages give them
        if path.suffix in {".tflite", ".onnx"}:
            kind = path.name.split(".", 1)[1]
            shutil.copy(path, folder / f"lenet5.{kind}")
            shutil.copy(path, folder / kind.replace("float32", "float"))
    shutil.copy(folder / "int8.tflite", folder / "model.tflite")
    shutil.copy(folder / "int8-exact.tflite", folder / "somebody-elses.tflite")
    return root


def _run_all(folder, *lines):
    for line in lines:
        code, output = _run(line, folder)
        assert code == 0, output


@pytest.fixture
def workshop(prepared, tmp_path, monkeypatch, brief):
    """A copy of it for one page, with caches of its own."""
    folder = tmp_path / "work"
    shutil.copytree(prepared / "files", folder)
    monkeypatch.setenv("MNIST_EXPORT_DATA", str(prepared / "data"))
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(prepared / "cache"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def run_line():
    """Runs one command line in a folder: code and output."""
    return _run
