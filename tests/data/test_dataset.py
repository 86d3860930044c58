from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from mnist_export.data import Dataset, Provenance, Split

Refused = Callable[..., str]


def split(count: int, *, side: int = 8, top: int = 1) -> Split:
    labels = np.arange(count, dtype=np.int64) % (top + 1)
    return Split(images=np.full((count, side, side, 1), 9, np.uint8), labels=labels)


def dataset(**changes: object) -> Dataset:
    values: dict[str, object] = {
        "name": "toy",
        "train": split(6),
        "validation": split(2),
        "test": split(2),
        "class_names": ("a", "b"),
        "provenance": Provenance(source="test", path=""),
    }
    return Dataset(**(values | changes))  # type: ignore[arg-type]


def test_a_dataset_knows_its_shape_and_classes() -> None:
    toy = dataset()
    assert (toy.num_classes, toy.image_shape) == (2, (8, 8, 1))
    assert [len(part) for part in toy.parts().values()] == [6, 2, 2]


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"test": split(0)}, "found 0"),
        ({"class_names": ("a",)}, "found 1"),
        ({"train": split(6, side=9)}, "(9, 9, 1)"),
        ({"train": split(6, top=2)}, "found 0..2"),
        ({"test": Split(images=split(2).images, labels=np.array([-1, 0]))}, "found -1..0"),
    ],
)
def test_parts_that_disagree_are_refused(changes: dict[str, object], fragment: str, refused: Refused) -> None:
    refused(lambda: dataset(**changes), "toy", fragment)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((2, 8, 8, 1), np.float32), np.zeros(2, np.int64)),
        (np.zeros((2, 8, 8), np.uint8), np.zeros(2, np.int64)),
        (np.zeros((2, 8, 0, 1), np.uint8), np.zeros(2, np.int64)),
        (np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int32)),
        (np.zeros((2, 8, 8, 1), np.uint8), np.zeros((2, 1), np.int64)),
        (np.zeros((2, 8, 8, 1), np.uint8), np.zeros(3, np.int64)),
    ],
)
def test_arrays_of_the_wrong_kind_are_refused(
    images: np.ndarray, labels: np.ndarray, refused: Refused
) -> None:
    refused(lambda: Split(images=images, labels=labels))


def test_a_dataset_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset().name = "other"  # type: ignore[misc]


def test_the_images_hash_tells_pixels_order_and_shape() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 4, 6, 1), np.uint8)
    labels = np.zeros(4, np.int64)
    first = Split(images=images, labels=labels).images_sha256()
    assert first == Split(images=images.copy(), labels=labels + 1).images_sha256()
    changed = images.copy()
    changed[3, 3, 5, 0] ^= 1
    others = {
        Split(images=changed, labels=labels).images_sha256(),
        Split(images=images[::-1], labels=labels).images_sha256(),
        Split(images=images.reshape(4, 6, 4, 1), labels=labels).images_sha256(),
        first,
    }
    assert len(others) == 4
