from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnist_export.core.cache import cache_folder
from mnist_export.core.errors import InputError
from mnist_export.data.idx import encode_idx, idx_header, read_idx
from mnist_export.data.locate import PublishedLoader, keras_folder
from mnist_export.data.mnist import load as mnist
from mnist_export.data.own_idx import READER
from mnist_export.data.published import PARTS, Published, hashes, idx_files, read_parts
from mnist_export.data.request import Request, UnavailableError

Refused = Callable[..., str]
WriteIdx = Callable[..., Path]


def loader_for(folder: Path, name: str = "mnist") -> PublishedLoader:
    """Make a loader that takes the folder's content for the published one."""
    sha256 = hashes(read_parts(folder))
    return PublishedLoader(dataclasses.replace(mnist.published, name=name, folders=(name,), sha256=sha256))


@pytest.mark.parametrize("gz", [True, False])
@pytest.mark.parametrize("below", ["", "mnist", "MNIST/raw"])
def test_the_variable_may_name_the_folder_or_one_above_it(
    *,
    below: str,
    gz: bool,
    tmp_path: Path,
    write_idx: WriteIdx,
    request_here: Request,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = write_idx(tmp_path / below, gz=gz)
    monkeypatch.setenv("MNIST_EXPORT_DATA", str(tmp_path))
    data = mnist(request_here)
    assert (data.name, data.provenance.source) == ("mnist", "MNIST_EXPORT_DATA")
    assert data.provenance.path == str(folder)
    assert [len(split) for split in data.parts().values()] == [90, 10, 20]
    assert data.class_names == tuple("0123456789")
    assert "differs from the published MNIST" in said[0] and data.provenance.notes


def test_published_content_is_recognised_without_a_remark(
    tmp_path: Path,
    write_idx: WriteIdx,
    request_here: Request,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loader = loader_for(write_idx(tmp_path / "mnist"))
    monkeypatch.setenv("MNIST_EXPORT_DATA", str(tmp_path))
    data = loader(request_here)
    assert said == [] and data.provenance.notes == ()
    assert data.provenance.sha256 == dict(loader.published.sha256)


def test_the_seed_moves_only_validation(
    tmp_path: Path, write_idx: WriteIdx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNIST_EXPORT_DATA", str(write_idx(tmp_path)))
    first, second, other = (mnist(Request(seed=s, notify=lambda _: None)) for s in (0, 0, 1))
    assert first.validation.images_sha256() == second.validation.images_sha256()
    assert first.validation.images_sha256() != other.validation.images_sha256()
    assert first.test.images_sha256() == other.test.images_sha256()


def test_a_wrong_variable_is_an_error_and_not_passed_over(
    tmp_path: Path, request_here: Request, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, fragment in ((tmp_path / "missing", "found nothing"), (tmp_path / "file", "found a file")):
        (tmp_path / "file").touch()
        monkeypatch.setenv("MNIST_EXPORT_DATA", str(path))
        refused(lambda: mnist(request_here), str(path), "MNIST_EXPORT_DATA", fragment)


def test_damage_where_the_variable_points_is_an_error(
    tmp_path: Path,
    write_idx: WriteIdx,
    request_here: Request,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MNIST_EXPORT_DATA", str(write_idx(tmp_path)))
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    refused(lambda: mnist(request_here), str(path))
    path.unlink()
    refused(lambda: mnist(request_here), "found 3 of them (no train-images-idx3-ubyte.gz)")


@pytest.mark.parametrize(
    ("name", "array", "fragment"),
    [
        ("t10k-images-idx3-ubyte", np.ones((20, 56, 14), np.uint8), "56x14"),
        ("t10k-images-idx3-ubyte", np.ones((20, 32, 32), np.uint8), "MNIST images of 28x28"),
        ("t10k-labels-idx1-ubyte", np.full(20, 200, np.uint8), "MNIST labels 0..9, found 200 in t10k"),
        ("t10k-labels-idx1-ubyte", np.zeros(19, np.uint8), "20 labels"),
        ("train-labels-idx1-ubyte", np.zeros(101, np.uint8), "100 labels"),
    ],
)
def test_content_that_cannot_be_mnist_is_refused(
    *,
    name: str,
    array: np.ndarray,
    fragment: str,
    tmp_path: Path,
    write_idx: WriteIdx,
    request_here: Request,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MNIST_EXPORT_DATA", str(write_idx(tmp_path, gz=False)))
    (tmp_path / name).write_bytes(encode_idx(array))
    refused(lambda: mnist(request_here), fragment)


def test_files_of_another_data_set_do_not_pass_for_fashion(
    tmp_path: Path, write_idx: WriteIdx, request_here: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_export.data.fashion_mnist import load as fashion

    monkeypatch.setenv("MNIST_EXPORT_DATA", str(write_idx(tmp_path)))
    with pytest.raises(UnavailableError):
        fashion(request_here)


def test_the_cache_is_used_and_a_damaged_one_passed_over(
    write_idx: WriteIdx, request_here: Request, said: list[str], bare_machine: Path
) -> None:
    folder = write_idx(cache_folder() / "mnist")
    assert folder == bare_machine / ".cache/mnist-export/mnist"
    loader = loader_for(folder)
    assert loader(request_here).provenance.source == "cache"
    write_idx(folder, test=30)
    with pytest.raises(UnavailableError):
        loader(request_here)
    assert "Passing over the cache" in said[0]


def test_kerass_npz_is_used_when_its_content_is_the_published_one(
    tmp_path: Path, write_idx: WriteIdx, request_here: Request, said: list[str], bare_machine: Path
) -> None:
    loader = loader_for(write_idx(tmp_path))
    parts = read_parts(tmp_path)
    path = bare_machine / ".keras/datasets/mnist.npz"
    path.parent.mkdir(parents=True)
    arrays = {"x_train": parts["train-images"], "y_train": parts["train-labels"]}
    arrays |= {"x_test": parts["t10k-images"], "y_test": parts["t10k-labels"]}
    np.savez(path, **arrays)  # type: ignore[arg-type]
    data = loader(request_here)
    assert (data.provenance.source, data.provenance.path) == ("Keras cache", str(path))
    np.savez(path, **(arrays | {"y_test": arrays["y_test"][::-1]}))  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        loader(request_here)
    assert "Passing over the Keras cache" in said[-1]


def test_kerass_folder_of_idx_files_is_used(
    write_idx: WriteIdx, request_here: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "k"))
    folder = write_idx(keras_folder() / "datasets" / "fashion-mnist")
    published = dataclasses.replace(loader_for(folder).published, keras_cache="fashion-mnist")
    assert PublishedLoader(published)(request_here).provenance.path == str(folder)


def test_the_order_is_variable_cache_keras(
    write_idx: WriteIdx, request_here: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loader = loader_for(write_idx(cache_folder() / "mnist"))
    write_idx(keras_folder() / "datasets" / "mnist.npz")
    assert loader(request_here).provenance.source == "cache"
    write_idx(tmp_path / "mnist")
    monkeypatch.setenv("MNIST_EXPORT_DATA", str(tmp_path))
    assert loader(request_here).provenance.source == "MNIST_EXPORT_DATA"


def test_cache_variables_are_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "mnist-export"
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"


def test_raw_files_win_over_archives_and_dotted_names_are_known(tmp_path: Path, write_idx: WriteIdx) -> None:
    write_idx(tmp_path, gz=True)
    (tmp_path / "t10k-labels-idx1-ubyte").touch()
    (tmp_path / "train-labels-idx1-ubyte.gz").rename(tmp_path / "train-labels.idx1-ubyte.gz")
    found = idx_files(tmp_path)
    assert tuple(found) == PARTS
    assert found["t10k-labels"].suffix == "" and found["train-labels"].name == "train-labels.idx1-ubyte.gz"


def test_an_own_idx_folder_is_numbered_by_its_labels(
    tmp_path: Path, write_idx: WriteIdx, request_here: Request, said: list[str]
) -> None:
    data = READER(write_idx(tmp_path / "Letters", side=32, classes=5), request_here)
    assert (data.name, data.num_classes, data.image_shape) == ("letters", 5, (32, 32, 1))
    assert data.provenance.source == "IDX folder" and set(data.provenance.sha256) == set(PARTS)
    assert said == []


def test_an_own_idx_folder_with_a_stray_label_or_shape_is_refused(
    tmp_path: Path, write_idx: WriteIdx, request_here: Request, refused: Refused
) -> None:
    labels = write_idx(tmp_path, gz=False) / "train-labels-idx1-ubyte"
    content = bytearray(labels.read_bytes())
    content[-1] = 200
    labels.write_bytes(content)
    refused(lambda: READER(tmp_path, request_here), "labels used are 0..200")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_header((100, 56, 14)) + bytes(78_400))
    refused(lambda: READER(tmp_path, request_here), "56x14")


def test_a_folder_of_several_idx_folders_asks_which(
    tmp_path: Path, write_idx: WriteIdx, request_here: Request, refused: Refused
) -> None:
    write_idx(tmp_path / "a")
    assert READER.accepts(tmp_path) and READER(tmp_path, request_here).name == "a"
    write_idx(tmp_path / "b")
    refused(lambda: READER(tmp_path, request_here), "2: a, b", f'data="{tmp_path / "a"}"')


def test_unreadable_labels_are_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\0\0\x08\x01")
    with pytest.raises(InputError, match="header of 8 bytes"):
        read_idx(tmp_path / "x", 1)


def test_real_mnist_is_the_published_one(real_mnist: object) -> None:
    from mnist_export.data import Dataset

    assert isinstance(real_mnist, Dataset) and isinstance(mnist.published, Published)
    assert real_mnist.provenance.sha256 == dict(mnist.published.sha256)
    assert real_mnist.provenance.notes == ()
    published_counts = np.array([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    counts = np.bincount(real_mnist.validation.labels)
    assert np.all(np.abs(counts - published_counts / 12) < 1)
