"""Numbers, or several labels, as what an image stands for: where it has no class."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.data.limits import bad_file

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset

Targets = npt.NDArray[np.float64]
MAX_VALUES: Final = 10_000


def are_targets(array: npt.NDArray[Any], head: str) -> bool:
    """Whether a data set's y are numbers or sets of labels rather than classes.

    Args:
        array: y as it was stored.
        head: what the model's outputs are said to be; ``auto`` goes by the array. There, real numbers and
            rows of 0 and 1 are targets, integers and rows of a single 1 are classes.
    """
    if head == "classes" or array.dtype.kind not in "fiub" or array.ndim not in (1, 2) or not array.size:
        return False
    wide = array.ndim == 2 and array.shape[1] > 1
    if head == "values":
        return True
    if head == "labels":
        return wide
    if wide:
        return not _one_hot(array) and (array.dtype.kind == "f" or _binary(array))
    return array.dtype.kind == "f"


def _binary(array: npt.NDArray[Any]) -> bool:
    return bool(np.all((array == 0) | (array == 1)))


def _one_hot(array: npt.NDArray[Any]) -> bool:
    return _binary(array) and bool(np.all(array.sum(axis=1) == 1))


def is_binary(targets: Targets) -> bool:
    """Whether the targets are one 0 or 1 an image: two classes."""
    return targets.shape[1] == 1 and _binary(targets)


def as_two_classes(dataset: Dataset) -> Dataset:
    """Take y of one 0 or 1 an image, stored as numbers, for classes; leave other data as it is."""
    parts = {name: getattr(dataset, name) for name in ("train", "validation", "test")}
    if any(part.targets is None or not is_binary(part.targets) for part in parts.values()):
        return dataset
    split = {
        name: replace(part, labels=part.targets[:, 0].astype(np.int64), targets=None)
        for name, part in parts.items()
    }
    return replace(dataset, **split, class_names=("0", "1"))


def are_label_sets(targets: Targets) -> bool:
    """Whether every target is 0 or 1."""
    return _binary(targets)


def checked_targets(where: object, array: npt.NDArray[Any]) -> Targets:
    """Bring numbers to float64 of shape (n, values).

    Args:
        where: the file and array, for messages.
        array: numbers of shape (n,) or (n, values).

    Raises:
        InputError: values that are not finite, or too many of them.
    """
    targets = np.asarray(array.reshape(len(array), -1), np.float64)
    if targets.shape[1] > MAX_VALUES:
        raise bad_file(
            where, f"at most {MAX_VALUES:,} values an image", f"{targets.shape[1]:,}", "Keep fewer outputs."
        )
    bad = ~np.isfinite(targets).all(axis=1)
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise bad_file(
            where,
            "numbers as y",
            f"NaN or infinite ones at {int(bad.sum()):,} images, the first is {first}",
            "Remove these images.",
        )
    return targets


def names_of(targets: Targets, given: tuple[str, ...] | None) -> tuple[str, ...]:
    """One name a value: those of the data where they fit."""
    count = targets.shape[1]
    if given is not None and len(given) == count:
        return given
    return ("value",) if count == 1 else tuple(f"value {place}" for place in range(count))
