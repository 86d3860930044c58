"""Makes a `Dataset` of a user's own arrays: checks the pixels and labels, names it, splits it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.images import Pixels as Images
from mnist_export.data.dataset import Dataset, Labels, Provenance, Split
from mnist_export.data.limits import bad_file, check_image_size, shown
from mnist_export.data.request import Request
from mnist_export.data.splitting import carve
from mnist_export.data.targets import are_targets, checked_targets, names_of

_SHARE = 10  # one part in ten for validation, and for test where there is none


def safe_name(path: Path) -> str:
    """Make a short name fit for a file name from a path's own: ``[a-z0-9._-]``, at most 40 long."""
    name = re.sub(r"[^a-z0-9._-]+", "-", path.resolve().name.removesuffix(".npz").lower()).strip("-.")
    return name[:40] or "data"


def image_batch(where: object, array: npt.NDArray[Any]) -> Images:
    """Check pixels and bring them to four dimensions.

    Args:
        where: the file and array, for messages.
        array: uint8 of shape (n, height, width) or (n, height, width, channels), n at least 1.

    Returns:
        uint8 of shape (n, height, width, channels); grey images get one channel.

    Raises:
        InputError: another type or shape, or pixels 0..1 where 0..255 is meant.
    """
    if array.dtype != np.uint8:
        raise bad_file(where, "uint8 pixels 0..255", _describe(array), _pixel_advice(array))
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or not 1 <= array.shape[-1] <= 4 or 0 in array.shape:
        raise bad_file(
            where,
            "images of shape (n, height, width) or (n, height, width, channels) with 1 to 4 channels",
            f"shape {array.shape}",
            "Reshape the array, such as x.reshape(-1, 28, 28).",
        )
    check_image_size(where, array.shape[1], array.shape[2], least=1)
    not_black_and_white(where, int(array.max()))
    return np.ascontiguousarray(array)


def not_black_and_white(where: object, brightest: int) -> None:
    """Refuse images in which no pixel is above 1: 0..1 where 0..255 is meant.

    Args:
        where: the file, for the message.
        brightest: the largest pixel of some or all of the images.
    """
    if brightest <= 1:
        raise bad_file(
            where,
            "uint8 pixels 0..255",
            f"none above {brightest} in any image",
            "Multiply pixels of 0..1 by 255 before rounding to uint8.",
        )


def _describe(array: npt.NDArray[Any]) -> str:
    if array.dtype.kind not in "fiub" or not array.size:
        return f"{array.dtype}"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return f"{array.dtype} with NaN or infinite values"
    lo, hi = array.min(), array.max()
    return f"{array.dtype} in {lo:g}..{hi:g}"


def _pixel_advice(array: npt.NDArray[Any]) -> str:
    if array.dtype.kind == "f" and array.size:
        if not np.isfinite(array).all():
            return "Find and remove the values that are not numbers, then store uint8 pixels."
        if array.min() >= -1 and array.max() <= 1:
            scale = "multiply by 255" if array.min() >= 0 else "map -1..1 to 0..255"
            return f"To convert, {scale}, round, and store as uint8."
    return (
        "Store raw pixels: x.round().astype('uint8')." if array.dtype.kind == "f" else "Store them as uint8."
    )


def label_vector(where: object, array: npt.NDArray[Any], *, head: str = "classes") -> Labels:
    """Check labels and bring them to int64.

    Args:
        where: the file and array, for messages.
        array: integers of shape (n,) or (n, 1), 0 or more.
        head: ``auto`` where numbers could be judged too, which the message then says.

    Raises:
        InputError: another type or shape, or negative labels.
    """
    if array.ndim == 2 and array.shape[1] > 1:
        raise bad_file(
            where, "one class number an image", f"shape {array.shape}", "Use labels.argmax(axis=1)."
        )
    if array.dtype.kind not in "iu" or array.ndim not in (1, 2):
        raise bad_file(
            where,
            "integer labels of shape (n,)",
            f"{array.dtype} of shape {array.shape}",
            'Store whole numbers. Where they are numbers, not classes: `head="values"`.',
        )
    flat = array.reshape(-1)
    if flat.size and (int(flat.min()) < 0 or int(flat.max()) > 9999):
        raise bad_file(
            where,
            "labels 0 to 9999",
            f"{flat.min()}..{flat.max()}",
            "Number the classes from 0 without gaps." + _or_numbers(head),
        )
    return flat.astype(np.int64)


def own_split(
    where: object, images: npt.NDArray[Any], labels: npt.NDArray[Any], *, head: str = "classes"
) -> Split:
    """Check a pair of arrays of one part and make a `Split` of it.

    Args:
        where: the file and array, for messages.
        images: see `image_batch`.
        labels: see `label_vector`; or, where `head` allows them, numbers or sets of labels.
        head: see `are_targets`.

    Raises:
        InputError: other types, shapes or lengths.
    """
    pixels = image_batch(where, images)
    targets = checked_targets(where, labels) if are_targets(labels, head) else None
    if targets is None:
        classes = label_vector(str(where).replace("[x_", "[y_"), labels, head=head)
    else:
        classes = np.zeros(len(targets), np.int64)
    if len(pixels) != len(classes):
        raise bad_file(
            where,
            "one label an image",
            f"{len(pixels)} images and {len(classes)} labels",
            "Store both whole.",
        )
    return Split(images=pixels, labels=classes, targets=targets)


def own_dataset(
    *,
    path: Path,
    source: str,
    train: Split,
    test: Split | None,
    request: Request,
    validation: Split | None = None,
    class_names: Sequence[str] | None = None,
    sha256: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
    every_class: bool = True,
) -> Dataset:
    """Number the classes, split what has no parts yet, and build the `Dataset`.

    Where there is no validation part, a tenth of train becomes it; where there is no test part, another
    tenth becomes test. Both are seeded and stratified, and the split is noted in the provenance.

    Args:
        path: where the data is from.
        source: what kind of data it is, such as ``"npz"``.
        train: the training part.
        test: the test part, or None.
        request: the seed, and whom to tell.
        validation: the validation part, or None.
        class_names: names in the order of the class numbers; ``"0"``, ``"1"``... if None.
        sha256: hashes of what was read.
        notes: further sentences for the provenance.
        every_class: whether training images of every class are needed.

    Raises:
        InputError: gaps in the class numbers, unequal image shapes, or too few images of a class.
    """
    names = tuple(class_names) if class_names else tuple(map(str, range(int(train.labels.max()) + 1)))
    if train.targets is not None:
        names, every_class = names_of(train.targets, tuple(class_names) if class_names else None), False
    _check_same_targets(path, train, test)
    parts_needed = 1 + (test is None) + (validation is None)
    _check_classes(path, train.labels, names, parts_needed if every_class else 0, request.head)
    if test is not None and len(test) and test.labels.max() >= len(names):
        raise bad_file(
            path,
            f"test labels 0..{len(names) - 1}, as in train",
            f"{test.labels.max()}",
            "Check the labels, or add training images of that class.",
        )
    if test is not None and test.images.shape[1:] != train.images.shape[1:]:
        raise bad_file(
            path,
            f"test images of shape {train.images.shape[1:]}, as in train",
            f"{test.images.shape[1:]}",
            "Resize them to one shape.",
        )
    all_notes = list(notes)
    one_each = len(names) if len(train) >= parts_needed * len(names) else 1
    wanted = max(one_each, round(len(train) / _SHARE))
    if len(train) < parts_needed:
        raise bad_file(path, f"at least {parts_needed} images", f"{len(train)}", "Add images.")
    if test is None:
        share = min(wanted, max(1, len(train) // 2))
        train, test = carve(train, share, request.seed)
        all_notes.append(
            f"No test part: {len(test)} images were set aside for test, stratified, seed {request.seed}."
        )
        request.notify(f"{shown(path)} has no test part: setting aside {len(test)} of its images for test.")
    if validation is None:
        share = min(wanted, max(1, len(train) // 2))
        train, validation = carve(train, share, request.seed)
    return Dataset(
        name=safe_name(path),
        train=train,
        validation=validation,
        test=test,
        class_names=names,
        provenance=Provenance(
            source=source, path=str(path), sha256=dict(sha256 or {}), notes=tuple(all_notes)
        ),
    )


def _check_same_targets(path: Path, train: Split, test: Split | None) -> None:
    if test is None:
        return
    first, second = (
        "classes" if part.targets is None else f"{part.targets.shape[1]} values an image"
        for part in (train, test)
    )
    if first != second:
        raise bad_file(path, f"{first} in y of test, as in train", second, "Store both in one form.")


def _or_numbers(head: str) -> str:
    """The way out where y are no classes at all."""
    return ' Where they are numbers, not classes: `head="values"`.' if head == "auto" else ""


def _check_classes(path: Path, labels: Labels, names: Sequence[str], parts_needed: int, head: str) -> None:
    counts = np.bincount(labels, minlength=len(names))
    if len(counts) > len(names):
        raise bad_file(
            path, f"labels 0..{len(names) - 1}", f"{labels.max()}", "Name every class, or check the labels."
        )
    if counts.min() < parts_needed:
        number = int(counts.argmin())
        used = np.flatnonzero(counts)
        raise bad_file(
            path,
            f"at least {parts_needed} training images of every class",
            f"{counts[number]} of class '{names[number]}' (the labels used are {used[0]}..{used[-1]})",
            "Number the classes from 0 without gaps, or add images." + _or_numbers(head),
        )
