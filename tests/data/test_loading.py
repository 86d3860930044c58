from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnist_export.core.errors import InputError, OutputError
from mnist_export.data import load_dataset
from mnist_export.data.registry import DATASETS, READERS

Refused = Callable[..., str]


def test_auto_is_mnist_where_it_is_here(
    tmp_path: Path, write_idx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setenv("MNIST_EXPORT_DATA", str(write_idx(tmp_path)))
    assert load_dataset("auto", notify=said.append).name == "mnist"


@pytest.mark.parametrize("download", [True, False])
def test_auto_is_the_digits_elsewhere_and_says_so_fast(download: bool, said: list[str]) -> None:
    start = time.monotonic()
    data = load_dataset("auto", download=download, notify=said.append)
    assert time.monotonic() - start < 5
    assert data.name == "digits"
    assert len(said) == 1 and "using 'digits'" in said[0] and said[0].isprintable()
    assert "MNIST is not on this machine" in data.provenance.notes[-1]


def test_auto_is_the_digits_where_the_cache_cannot_be_written(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    def fetch(*_: object) -> str:
        raise OutputError("cannot write the cache")

    monkeypatch.setattr("mnist_export.data.download.fetch", fetch)
    assert load_dataset("auto", notify=said.append).name == "digits"
    assert "cannot write the cache" in said[0]
    with pytest.raises(OutputError):
        load_dataset("mnist")


def test_mnist_by_name_is_mnist_or_an_error(said: list[str], refused: Refused) -> None:
    refused(lambda: load_dataset("mnist", notify=said.append), "MNIST", "MNIST_EXPORT_DATA", 'data="digits"')
    refused(lambda: load_dataset("mnist", download=False), "MNIST_EXPORT_DATA")
    assert said == []


def test_auto_does_not_hide_unsound_data(
    tmp_path: Path, write_idx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setenv("MNIST_EXPORT_DATA", str(write_idx(tmp_path)))
    (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(b"")
    refused(lambda: load_dataset("auto"), "t10k-labels")


@pytest.mark.parametrize(
    ("spec", "fragment"),
    [
        ("mnits", "Did you mean 'mnist'?"),
        ("fashion_mnist", "Did you mean 'fashion-mnist'?"),
        ("DIGITS", "Did you mean 'digits'?"),
        ("xyzzy", "Check the name."),
        ("", "Check the name."),
        ("a\x1b[31m\nb", r"a\x1b[31m\nb"),
        ("x" * 5000, "expected auto, mnist"),
        ("a\0b", "expected auto, mnist"),
        ("/no/such/folder/data.npz", "Check the name."),
    ],
)
def test_an_unknown_name_lists_the_known_ones_and_the_nearest(
    spec: str, fragment: str, refused: Refused
) -> None:
    refused(lambda: load_dataset(spec), "auto, mnist, fashion-mnist, digits", fragment)


def test_a_wrong_path_suggests_the_nearest_file(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "letters.npz").touch()
    refused(lambda: load_dataset(str(tmp_path / "leters.npz")), f"Did you mean '{tmp_path / 'letters.npz'}'?")


def test_each_kind_of_path_finds_its_reader(
    tmp_path: Path, write_idx: Callable[..., Path], make: Callable[..., tuple[np.ndarray, np.ndarray]]
) -> None:
    images, labels = make(60, classes=3)
    np.savez(tmp_path / "own.npz", x_train=images, y_train=labels, x_test=images[:6], y_test=labels[:6])
    (tmp_path / "own.npz").rename(tmp_path / "own.data")
    assert load_dataset(str(tmp_path / "own.data")).provenance.source == "npz"
    assert load_dataset(str(write_idx(tmp_path / "idx"))).provenance.source == "IDX folder"


def test_other_files_are_refused(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "data.txt").write_text("1,2,3")
    refused(
        lambda: load_dataset(str(tmp_path / "data.txt")),
        "an .npz, .csv or .jsonl file, a folder",
        "another kind of file",
    )
    refused(lambda: load_dataset("/dev/zero"), "another kind of file")
    refused(lambda: load_dataset(str(tmp_path)), "a folder of images")


def test_a_negative_seed_is_refused(refused: Refused) -> None:
    refused(lambda: load_dataset("digits", seed=-1), "seed", "-1")


def test_every_entry_of_the_tables_can_be_loaded() -> None:
    assert list(DATASETS) == ["mnist", "fashion-mnist", "digits"]
    for name in DATASETS:
        assert callable(DATASETS.get(name))
    for name in READERS:
        assert not READERS.get(name).accepts(Path("/no/such/path"))
    with pytest.raises(InputError, match="Did you mean 'digits'"):
        DATASETS.get("digit")


def test_importing_the_room_pulls_in_nothing_heavy() -> None:
    code = (
        "import sys, mnist_export.data as d; d.load_dataset('digits'); "
        "print(sorted({'tensorflow', 'keras', 'onnx', 'sklearn', 'pooch', 'requests', 'PIL', 'tqdm'} "
        "& set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_listener_messages_go_to_stderr_alone(capsys: pytest.CaptureFixture[str]) -> None:
    load_dataset("auto", download=False)
    captured = capsys.readouterr()
    assert captured.out == "" and "using 'digits'" in captured.err
