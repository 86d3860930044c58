"""Devices: environments that appear whole or not at all, children that are watched, rows that say why."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from mnist_export.cli import parity
from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.files import TEMPORARY_PREFIX
from mnist_export.data import Split
from mnist_export.parity.layers.comparison import compare_layers
from mnist_export.parity.layers.on_device import activations_on, first_difference
from mnist_export.parity.on_devices import check_on_devices
from mnist_export.runtime.devices import asking, kept, registry, web
from mnist_export.runtime.devices.device import Answer, Question
from mnist_export.runtime.devices.environment import Environment
from mnist_export.runtime.foreign.flatbuffer import Reader
from mnist_export.runtime.runners.opening import open_runner


def _doubles(_path: str, _sample: Any) -> Any:
    return (lambda piece: piece.reshape(len(piece), -1)[:, :2]), 3, lambda: {"arena_bytes": 7}


def _refuses(_path: str, _sample: Any) -> Any:
    raise ValueError("no kernel for this operator")


def _crashes(_path: str, _sample: Any) -> Any:
    import os

    os.abort()


def _other_shape(_path: str, _sample: Any) -> Any:
    return (lambda piece: piece.reshape(len(piece), -1)), 3, dict


def _sleeps(_path: str, _sample: Any) -> Any:
    import time

    time.sleep(60)


def _question(count: int = 7) -> Question:
    batch = np.arange(count * 4, dtype=np.int8).reshape(count, 4)
    return Question(
        label="net.tflite",
        content=b"x",
        format="tflite",
        batch=batch,
        classes=2,
        output_type=np.dtype(np.int8),
    )


def test_a_child_answers_every_input_in_pieces_of_its_size():
    answer = asking.ask("toy", [sys.executable], _doubles, _question())
    np.testing.assert_array_equal(answer.values, _question().batch[:, :2])
    assert answer.arena_bytes == 7


@pytest.mark.parametrize(
    ("opening", "error", "said"),
    [
        (_refuses, UnsupportedError, "no kernel for this operator"),
        (_crashes, InputError, "SIGABRT"),
        (_other_shape, InputError, r"expected int8 of shape \(7, 2\)"),
    ],
)
def test_what_goes_wrong_in_a_child_is_one_line(opening, error, said):
    with pytest.raises(error, match=said) as raised:
        asking.ask("toy", [sys.executable], opening, _question())
    assert "\n" not in str(raised.value)


def test_a_child_that_hangs_is_ended():
    with pytest.raises(InputError, match="over 1 s"):
        asking.ask("toy", [sys.executable], _sleeps, _question(), wall_s=1)


@pytest.fixture()
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path))
    return tmp_path / "devices"


def test_a_cut_off_download_leaves_nothing(cache, monkeypatch):
    real = subprocess.run

    def cut_off(command, **options):
        if "download" in command:
            return subprocess.CompletedProcess(command, 1, b"", b"ERROR: Connection broken")
        return real(command, **options)

    monkeypatch.setattr(kept.subprocess, "run", cut_off)
    toy = Environment(name="toy", requirements=("six==1.16.0",), module="six")
    with pytest.raises(InputError, match="toy: fetching the packages failed: Connection broken"):
        toy.prepare(lambda _text: None, quiet=True)
    assert not [path for path in cache.iterdir() if path.name != ".lock"]
    assert toy.problem() == "not prepared"


def test_a_half_prepared_folder_is_not_ready_and_its_leftovers_are_swept(cache, monkeypatch):
    toy = Environment(name="toy", requirements=("six==1.16.0",), module="six")
    toy.folder.mkdir(parents=True)
    (toy.folder / kept.MANIFEST).write_text("{")
    assert "manifest" in toy.problem()
    left = cache / f"{TEMPORARY_PREFIX}killed"
    left.mkdir()
    failed = subprocess.CompletedProcess([], 1, b"", b"no venv")
    monkeypatch.setattr(kept.subprocess, "run", lambda *_a, **_o: failed)
    with pytest.raises(InputError, match="making the environment failed: no venv"):
        toy.prepare(lambda _text: None, quiet=True)
    assert not left.exists()


def _index(folder, digest):
    """A package index of one wheel, which says that the wheel has this hash."""
    wheel = folder / "simple" / "toypkg" / "toypkg-1.0-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    about = "Metadata-Version: 2.1\nName: toypkg\nVersion: 1.0\n"
    kind = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toypkg.py", "x = 1\n")
        archive.writestr("toypkg-1.0.dist-info/METADATA", about)
        archive.writestr("toypkg-1.0.dist-info/WHEEL", kind)
        archive.writestr("toypkg-1.0.dist-info/RECORD", "")
    found = digest or hashlib.sha256(wheel.read_bytes()).hexdigest()
    (wheel.parent / "index.html").write_text(f'<a href="{wheel.name}#sha256={found}">{wheel.name}</a>')
    return (folder / "simple").as_uri()


@pytest.mark.parametrize("digest", ["0" * 64, None])
def test_a_package_of_another_hash_is_refused_and_leaves_nothing(cache, tmp_path, monkeypatch, digest):
    monkeypatch.setenv("PIP_INDEX_URL", _index(tmp_path / "index", digest))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    toy = Environment(name="toy", requirements=("toypkg==1.0",), module="toypkg")
    if digest is None:
        toy.prepare(lambda _text: None, quiet=True)
        assert toy.problem() == ""
        return
    with pytest.raises(InputError, match=r"toy: fetching the packages failed: .*HASH") as raised:
        toy.prepare(lambda _text: None, quiet=True)
    assert "\n" not in str(raised.value)
    assert not [path for path in cache.iterdir() if path.name != ".lock"]


def test_a_machine_without_a_chromium_is_told_how_to_get_one(cache, monkeypatch):
    del cache
    monkeypatch.setattr(web, "_ships_chromium", lambda: False)
    monkeypatch.setattr(web.shutil, "which", lambda _name: None)
    assert parity.main(["devices", "--prepare", "web"]) == 2
    with pytest.raises(InputError, match=r"no Chromium on this machine\. Run: apt-get install chromium"):
        web.DEVICE.prepare(lambda _text: None)


def test_an_unknown_device_and_one_that_is_not_ready_are_one_line(cache, capsys):
    del cache
    assert parity.main(["devices", "--prepare", "tflmm"]) == 2
    assert "Did you mean 'tflm'" in capsys.readouterr().err
    with pytest.raises(InputError, match="Run: mnist-parity devices --prepare tflm,openvino"):
        registry.require_ready(registry.devices_of("--on", "tflm,openvino,tflm"))


def test_the_list_says_how_to_make_each_ready(cache, capsys):
    del cache
    assert parity.main(["devices"]) == 0
    out = capsys.readouterr().out
    assert all(f"mnist-parity devices --prepare {name}" in out for name in registry.DEVICES)


@dataclass
class _Fake:
    """A device that answers as the file's own runtime does, but for what a test wants."""

    runner: Any
    images: Any
    formats: tuple[str, ...] = ("tflite",)
    change: int = 0
    error: Exception | None = None
    name: str = "fake"
    title: str = "a fake"
    needs: str = "nothing"
    asked: list[int] = field(default_factory=list)

    def answer(self, question: Question) -> Answer:
        if self.error is not None:
            raise self.error
        self.asked.append(len(question.batch))
        values = self.runner.run_integers(self.images).copy()
        values[0, 0] += self.change
        return Answer(values=values, arena_bytes=100)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    import mnist_export as mx

    folder = tmp_path_factory.mktemp("files")
    made = mx.export("lenet5", precision="int8", data="digits", output=folder, formats=("tflite", "onnx"))
    return made.artifacts


@pytest.fixture(scope="module")
def split():
    from mnist_export.data import load_dataset

    test = load_dataset("digits").test
    return Split(images=test.images[:50], labels=test.labels[:50])


@pytest.mark.parametrize("change", [0, 1])
def test_a_row_counts_the_logits_that_differ(files, split, change):
    with open_runner(files["tflite"].path, trust=True) as runner:
        fake = _Fake(runner=runner, images=split.images, change=change)
        (row,) = check_on_devices([fake], [runner], split, runner.run(split.images))
    assert (row.differing, row.values, row.arena_bytes) == (change, 500, 100)
    assert row.verdict.value == "pass"


def test_what_a_device_does_not_read_is_a_row_and_what_it_refuses_fails(files, split):
    with open_runner(files["tflite"].path, trust=True) as runner:
        reference = runner.run(split.images)
        other = _Fake(runner=runner, images=split.images, formats=("onnx",))
        broken = _Fake(
            name="broken", runner=runner, images=split.images, error=UnsupportedError("net: no kernel.")
        )
        unread, refused = check_on_devices([other, broken], [runner], split, reference)
    assert unread.verdict.value == "not run"
    assert "reads onnx" in unread.why
    assert refused.verdict.value == "fail"
    assert refused.why == "net: no kernel."


def _planted(content):
    """The file with one bit of one weight of conv2 flipped."""
    model = Reader(content, "the file").root()
    tensors = model.tables(2)[0].tables(0)
    kernel = next(tensor for tensor in tensors if tensor.blob(3) == b"conv2/kernel")
    start, _ = model.tables(4)[kernel.integer(2, "I")].place(0)
    return content[: start + 7] + bytes([content[start + 7] ^ 64]) + content[start + 8 :]


def test_tflm_itself_where_its_packages_can_be_had(files, split, cache, tmp_path):
    del cache
    (device,) = registry.devices_of("--on", "tflm")
    try:
        device.prepare(lambda _text: None, quiet=True)
    except InputError as error:
        pytest.skip(f"tflm cannot be prepared here: {error}")
    with open_runner(files["tflite"].path, trust=True) as runner:
        (row,) = check_on_devices([device], [runner], split, runner.run(split.images))
        broken = tmp_path / "planted.tflite"
        broken.write_bytes(_planted(runner.content))
        with open_runner(broken, trust=True) as other:
            sound, planted = (activations_on(device, file, split.images[:4]) for file in (runner, other))
    assert "'conv2" in first_difference(compare_layers(sound, planted), "tflm")
    assert row.differing < row.values // 10
    assert row.largest <= 2
    assert 4096 < row.arena_bytes < 65536
    assert row.verdict.value == "pass"
