"""Fixtures of the data tests: a machine without data sets, generated images, a check of errors."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.errors import InputError
from mnist_export.data.idx import encode_idx
from mnist_export.data.request import Request

Arrays = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No data set, no cache and no network, whatever this machine has; returns the empty home."""
    home = tmp_path_factory.mktemp("home")
    for name in ("MNIST_EXPORT_DATA", "MNIST_EXPORT_CACHE", "XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("MNIST_EXPORT_MIRROR", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return home


@pytest.fixture
def said() -> list[str]:
    """What `Request.notify` was told."""
    return []


@pytest.fixture
def request_here(said: list[str]) -> Request:
    """A request that must not use the network and keeps what it is told."""
    return Request(download=False, notify=said.append)


@pytest.fixture
def make() -> Callable[..., Arrays]:
    """Make ``count`` random images and labels that use every class in turn."""

    def make_arrays(count: int, *, side: int = 28, classes: int = 10, seed: int = 0) -> Arrays:
        images = np.random.default_rng(seed).integers(0, 256, (count, side, side), np.uint8)
        return images, (np.arange(count) % classes).astype(np.uint8)

    return make_arrays


@pytest.fixture
def write_idx(make: Callable[..., Arrays]) -> Callable[..., Path]:
    """Write the four IDX files into a folder, raw or compressed; returns the folder."""

    def write(folder: Path, *, gz: bool = True, train: int = 100, test: int = 20, **options: Any) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for half, count, seed in (("train", train, 1), ("t10k", test, 2)):
            images, labels = make(count, seed=seed, **options)
            for name, array in ((f"{half}-images-idx3-ubyte", images), (f"{half}-labels-idx1-ubyte", labels)):
                content = encode_idx(array)
                if gz:
                    (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
                else:
                    (folder / name).write_bytes(content)
        return folder

    return write


@pytest.fixture
def refused() -> Callable[..., str]:
    """Call something that must raise `InputError` of one line with these fragments; returns the line."""

    def check(action: Callable[[], object], *fragments: str) -> str:
        with pytest.raises(InputError) as caught:
            action()
        line = str(caught.value)
        assert caught.value.exit_code == 2
        assert line.isprintable(), f"not one printable line: {line!r}"
        assert "expected" in line and "found" in line, line
        for fragment in fragments:
            assert fragment in line, line
        return line

    return check


@pytest.fixture
def peak_bytes() -> Iterator[Callable[[], int]]:
    """Measure the largest memory that Python and numpy held since the test began."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
