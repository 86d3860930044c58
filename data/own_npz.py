"""A user's own .npz: x_train, y_train and, where there is a test part, x_test, y_test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt

from mnist_export.data.dataset import Dataset, Split
from mnist_export.data.float_pixels import are_floats, pixels_of_floats
from mnist_export.data.limits import bad_file
from mnist_export.data.npz import NpzFile
from mnist_export.data.own import image_batch, own_dataset, own_split
from mnist_export.data.request import Request

_PEEK_ITEMS = 1 << 16


class NpzReader:
    """Reads an .npz as a data set; arrays of another name are left alone.

    Images are uint8 (or floats that are pixels, see `float_pixels`) of shape (n, h, w) or (n, h, w, c),
    labels integers of shape (n,). An array ``class_names`` of strings names the classes.
    """

    def accepts(self, path: Path) -> bool:
        """Say whether it is a file named .npz or a zip archive."""
        if not path.is_file():
            return False
        if path.suffix == ".npz":
            return True
        try:
            with path.open("rb") as stream:
                return stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
        except OSError:
            return False

    def __call__(self, path: Path, request: Request) -> Dataset:
        """Load it, or raise `InputError`."""
        with NpzFile(path) as npz:
            has_test = "x_test" in npz.keys or "y_test" in npz.keys
            npz.require(("x_train", "y_train", "x_test", "y_test") if has_test else ("x_train", "y_train"))
            notes: list[str] = []
            train = _read_split(npz, "train", request.head, notes)
            test = _read_split(npz, "test", request.head, notes) if has_test else None
            names = _read_names(npz) if "class_names" in npz.keys else None
        sha256 = {"train-images": train.images_sha256()}
        if test is not None:
            sha256["test-images"] = test.images_sha256()
        return own_dataset(
            path=path, source="npz", train=train, test=test, request=request, class_names=names,
            sha256=sha256, notes=_told(notes, request),
        )  # fmt: skip


def _read_split(npz: NpzFile, part: str, head: str, notes: list[str]) -> Split:
    where = f"{npz.path}[x_{part}]"
    dtype = npz.header(f"x_{part}").dtype
    if dtype != "uint8" and not are_floats(dtype):
        # look at a few values for the message; do not load gigabytes for it
        image_batch(where, npz.read(f"x_{part}", at_most_items=_PEEK_ITEMS))
    images = npz.read(f"x_{part}")
    if are_floats(dtype) and images.size:
        images, note = pixels_of_floats(where, images)
        notes.append(note)
    return own_split(where, images, npz.read(f"y_{part}"), head=head)


def _told(notes: list[str], request: Request) -> tuple[str, ...]:
    """How floats became pixels, said once."""
    told = tuple(dict.fromkeys(notes))
    for note in told:
        request.notify(note)
    return told


def _read_names(npz: NpzFile) -> tuple[str, ...]:
    array: npt.NDArray[Any] = npz.read("class_names")
    names = tuple(str(name) for name in array.reshape(-1))
    if array.dtype.kind != "U" or array.ndim != 1 or len(set(names)) != len(names):
        raise bad_file(
            f"{npz.path}[class_names]",
            "different strings of shape (classes,)",
            f"{array.dtype} of shape {array.shape}",
            "Store numpy.array(['cat', 'dog']).",
        )
    if bad := [name for name in names if not name or not name.isprintable() or len(name) > 100]:
        raise bad_file(
            f"{npz.path}[class_names]",
            "printable names of 1 to 100 characters",
            repr(bad[0])[:60],
            "Rename it.",
        )
    return names


READER = NpzReader()
