"""Folders of more pictures than memory should hold: the same images, read when they are asked for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_export.core.errors import InputError, OutputError
from mnist_export.core.images import StreamedImages, batches_of, first_images, picked, save_images
from mnist_export.data.checks import check_calibration, shared_images
from mnist_export.data.loading import load_dataset
from mnist_export.data.picture_options import PictureOptions
from mnist_export.data.row_file import KeptImages, RowFile, runs_of

OPTIONS = PictureOptions(channels=3, size=(24, 16))
Load = Callable[..., object]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty JPEGs of mixed sizes in two classes."""
    random = np.random.default_rng(0)
    for i in range(40):
        path = tmp_path / "photos" / ("cat", "dog")[i % 2] / f"{i:02}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = random.integers(0, 256, (20 + i, 50 - i, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return tmp_path / "photos"


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnist_export.data.picture_parts.IN_MEMORY_BYTES", 0)


def load(folder: Path, said: list[str] | None = None):
    return load_dataset(str(folder), notify=(said if said is not None else []).append, pictures=OPTIONS)


@pytest.mark.parametrize("room", [0, 1 << 30])
def test_streamed_images_are_those_of_memory(
    room: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(folder)
    monkeypatch.setattr("mnist_export.data.picture_parts.IN_MEMORY_BYTES", 0)
    monkeypatch.setattr("mnist_export.data.picture_parts.room_bytes", lambda: room)
    said: list[str] = []
    data = load(folder, said)
    assert any("decoded anew on each pass" in line for line in said) is (room == 0)
    for part, split in data.parts().items():
        expected = whole.parts()[part]
        assert isinstance(split.images, StreamedImages) and isinstance(expected.images, np.ndarray)
        for _ in range(2):  # decoded, then from where they are kept
            np.testing.assert_array_equal(np.asarray(split.images), expected.images)
        np.testing.assert_array_equal(split.labels, expected.labels)
        assert split.images_sha256() == expected.images_sha256()
        rows = np.arange(len(split))[::-2]
        np.testing.assert_array_equal(split.images[rows], expected.images[rows])
        np.testing.assert_array_equal(split.take(rows).images[1:3], expected.images[rows][1:3])
        np.testing.assert_array_equal(split.images[-1], expected.images[-1])
        assert split.images.shape == expected.images.shape and len(split.first(3)) == min(3, len(split))
    assert shared_images(data.train.array[:5], data.test.images) == 0
    assert shared_images(data.test.array, data.test.images) == len(data.test)
    findings = check_calibration(data.train.images, data.train.labels, data)
    assert [str(f.problem) for f in findings] == ["too_few"]
    assert set(data.provenance.sha256) == {"train-files"}


@pytest.mark.usefixtures("streamed")
def test_each_picture_is_decoded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mnist_export.data import picture_store

    data = load(folder)
    decoded: list[Path] = []

    def counted(path: Path, *args: object, **options: object) -> object:
        decoded.append(path)
        return real(path, *args, **options)

    real = picture_store.read_picture
    monkeypatch.setattr(picture_store, "read_picture", counted)
    first = data.test.images[:2]
    assert len(decoded) == 2
    np.testing.assert_array_equal(data.test.images[:4][:2], first)
    for _ in range(3):
        data.test.images_sha256()
    assert len(decoded) == len(set(decoded)) == len(data.test)


@pytest.mark.usefixtures("streamed")
def test_a_damaged_picture_and_a_full_disk_are_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(folder)
    broken = folder / "cat" / "00.jpg"
    sound = broken.read_bytes()
    broken.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"00\.jpg: expected a PNG"):
        for split in data.parts().values():
            split.images_sha256()

    broken.write_bytes(sound)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("mnist_export.data.row_file.os.pwrite", full)
    with pytest.raises(OutputError, match=r"No space left on device.*MNIST_EXPORT_CACHE") as caught:
        load(folder).test.images[:2]
    assert caught.value.exit_code == 2


@pytest.mark.usefixtures("streamed")
def test_nothing_is_left_in_the_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "cache"))
    load(folder).test.images_sha256()
    assert list((tmp_path / "cache" / "pixels").iterdir()) == []


def test_memory_does_not_grow_with_the_pictures(
    tmp_path: Path, peak_bytes: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    import tracemalloc

    monkeypatch.setattr("mnist_export.data.picture_parts.IN_MEMORY_BYTES", 1 << 20)
    content = tmp_path / "one.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(content)
    peaks = []
    for count in (300, 300, 1500):
        root = tmp_path / f"{len(peaks)}"
        for i in range(count):
            path = root / f"class-{i % 3}" / f"{i:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(content, path)
        options = PictureOptions(channels=3, size=(128, 128))
        tracemalloc.reset_peak()
        data = load_dataset(str(root), notify=lambda _: None, pictures=options)
        for split in data.parts().values():
            split.images_sha256()
        peaks.append(peak_bytes())
        del data
    held = 1200 * 128 * 128 * 3  # bytes that the larger folder would take more, were it in memory
    assert peaks[2] - peaks[1] < held / 3, peaks


def test_kept_rows_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (9, 4, 5, 3), np.uint8)
    rows = RowFile(60)
    rows.write(0, images[:4])
    rows.write(4, images[4:])
    kept = KeptImages(rows, images.shape)
    np.testing.assert_array_equal(kept[np.array([8, 0, 1, 2, 5])], images[[8, 0, 1, 2, 5]])
    np.testing.assert_array_equal(kept[images[:, 0, 0, 0] > 100], images[images[:, 0, 0, 0] > 100])
    np.testing.assert_array_equal(np.stack(list(kept)), images)
    np.testing.assert_array_equal(np.concatenate(list(batches_of(kept))), images)
    save_images(tmp_path / "images.npy", picked(kept, np.array([3, 1])))
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), images[[3, 1]])
    assert len(first_images(kept, 4)) == 4 and len(first_images(images, 4)) == 4
    with pytest.raises(IndexError):
        kept[9]
    assert runs_of(np.array([3, 4, 5, 9, 8])) == [(0, 3), (3, 4), (4, 5)]
    assert runs_of(np.array([], np.int64)) == []
