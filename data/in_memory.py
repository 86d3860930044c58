"""Arrays in memory as a `Dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.data.dataset import Dataset
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
        arrays: uint8 images of shape (n, height, width) or (n, height, width, channels), and integer labels
            of shape (n,) or (n, 1).
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
    train = own_split("x_train", arrays[0], arrays[1], head=head)
    test = own_split("x_test", arrays[2], arrays[3], head=head) if len(arrays) == max(_ARRAYS) else None
    sha256 = {"train-images": train.images_sha256()}
    if test is not None:
        sha256["test-images"] = test.images_sha256()
    return own_dataset(
        path=Path(name), source="memory", train=train, test=test,
        request=Request(seed=seed, notify=notify, head=head), sha256=sha256,
    )  # fmt: skip
