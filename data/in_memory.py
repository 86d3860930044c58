"""Arrays in memory as a `Dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.data.dataset import Dataset
from mnist_export.data.float_pixels import are_floats, pixels_of_floats
from mnist_export.data.own import own_dataset, own_split
from mnist_export.data.request import Notify, Request, to_stderr

_ARRAYS = (2, 4)


def dataset_of_arrays(
    arrays: Sequence[npt.NDArray[Any]],
    *,
    seed: int = 0,
    name: str = "arrays",
    notify: Notify = to_stderr,
    head: str = "classes",
) -> Dataset:
    """Make a data set of ``(x_train, y_train, x_test, y_test)``, or of ``(x_train, y_train)`` alone.

    A tenth of the training images becomes validation; without test arrays another tenth becomes test.

    Args:
        arrays: uint8 images (or floats that are pixels, see `float_pixels`) of shape (n, height, width) or
            (n, height, width, channels), and integer labels of shape (n,) or (n, 1).
        seed: chooses the validation part, and the test part where there is none.
        name: of the data set, fit for a file name.
        head: what y may be besides classes; see `targets.are_targets`.
        notify: called with one sentence for whatever the user should know.

    Raises:
        InputError: another number of arrays, types or shapes.
    """
    if len(arrays) not in _ARRAYS:
        raise InputError(
            "data: expected (x_train, y_train, x_test, y_test) or (x_train, y_train), found "
            f"{len(arrays)} arrays."
        )
    notes: list[str] = []
    train = own_split("x_train", _pixels("x_train", arrays[0], notes), arrays[1], head=head)
    test = None
    if len(arrays) == max(_ARRAYS):
        test = own_split("x_test", _pixels("x_test", arrays[2], notes), arrays[3], head=head)
    sha256 = {"train-images": train.images_sha256()}
    if test is not None:
        sha256["test-images"] = test.images_sha256()
    return own_dataset(
        path=Path(name), source="memory", train=train, test=test,
        request=Request(seed=seed, notify=notify, head=head), sha256=sha256,
        notes=tuple(dict.fromkeys(notes)),
    )  # fmt: skip


def _pixels(where: str, images: npt.NDArray[Any], notes: list[str]) -> npt.NDArray[Any]:
    """Floats as the pixels that they were made from; anything else as it is."""
    if not are_floats(images.dtype) or not images.size:
        return images
    pixels, note = pixels_of_floats(where, images)
    notes.append(note)
    return pixels
