"""Seeded stratified choices: the validation part, a split of one's own, calibration images.

The order of choice comes from the raw 64-bit stream of PCG64, which numpy keeps the same for good
(NEP 19), unlike ``Generator.permutation``: a split is the same on every machine and in every version.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.images import Pixels as Images
from mnist_export.data.dataset import Dataset, Labels, Split

Indices = npt.NDArray[np.int64]


def _shuffled(count: int, seed: int) -> Indices:
    if seed < 0:
        raise InputError(f"seed: expected 0 or more, found {seed}. Choose another seed.")
    keys = np.asarray(np.random.PCG64(seed).random_raw(count), np.uint64)
    order: Indices = np.argsort(keys, kind="stable").astype(np.int64)
    return order


def allocate(class_counts: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """Share ``count`` out over the classes in proportion to their size (largest remainder).

    Where ``count`` is at least the number of classes that have images, each of those gets one or more.

    Args:
        class_counts: int64 of shape (classes,), how many images each class has.
        count: how many to choose, 0 to the sum of ``class_counts``.

    Returns:
        int64 of shape (classes,) that sums to ``count``, nowhere above ``class_counts``.
    """
    total = int(class_counts.sum())
    if total == 0 or count == 0:
        return np.zeros_like(class_counts)
    exact = class_counts * (count / total)
    share: Indices = np.floor(exact).astype(np.int64)
    if count >= np.count_nonzero(class_counts):
        share = np.maximum(share, (class_counts > 0).astype(np.int64))
    # Most deserving first when adding, least deserving first when the ones given above are too many.
    while (missing := count - int(share.sum())) != 0:
        claim = exact - share
        if missing > 0:
            claim[share >= class_counts] = -np.inf
            share[int(np.argmax(claim))] += 1
        else:
            claim[share <= 1] = np.inf
            share[int(np.argmin(claim))] -= 1
    return share


def stratified_indices(labels: Labels, count: int, seed: int) -> Indices:
    """Choose ``count`` distinct positions of ``labels`` so that the classes keep their proportions.

    Args:
        labels: int64 of shape (n,), 0 or more.
        count: how many, 1 to n.
        seed: 0 or more; the same seed gives the same positions.

    Returns:
        int64 of shape (count,), in shuffled order, so that any first part is a fair sample too.

    Raises:
        InputError: ``count`` is not in 1..n, or the seed is negative.
    """
    if not 1 <= count <= len(labels):
        raise InputError(
            f"sample: expected 1 to {len(labels)} images, found a count of {count}. Ask for fewer or more."
        )
    order = _shuffled(len(labels), seed)
    shuffled_labels = labels[order]
    share = allocate(np.bincount(labels).astype(np.int64), count)
    by_class = np.argsort(shuffled_labels, kind="stable")  # each class's images together, as shuffled
    counts = np.bincount(labels)
    place = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.zeros(len(labels), np.bool_)
    chosen[by_class[place < np.repeat(share, counts)]] = True
    positions: Indices = order[chosen]
    return positions


def stratified_sample(split: Split, count: int, seed: int = 0) -> Indices:
    """Choose ``count`` distinct images of a split, each class in its proportion.

    Args:
        split: the part to choose from.
        count: how many, 1 to ``len(split)``.
        seed: 0 or more.

    Returns:
        int64 of shape (count,), positions in ``split``, in shuffled order.

    Raises:
        InputError: ``count`` is not in 1..``len(split)``, or the seed is negative.
    """
    return stratified_indices(split.labels, count, seed)


def calibration_images(dataset: Dataset, count: int = 300, seed: int = 0) -> Images:
    """Choose images to calibrate on: a stratified sample of the training part, never of test.

    Args:
        dataset: where from.
        count: how many; all of the training part where it has fewer.
        seed: 0 or more.

    Returns:
        uint8 of shape (min(count, training images), height, width, channels), in shuffled order.

    Raises:
        InputError: ``count`` is below 1, or there are no training images.
    """
    if not len(dataset.train):
        raise InputError(
            f"calibration on '{dataset.name}': expected training images, found none. Use other data."
        )
    chosen = stratified_sample(dataset.train, min(count, len(dataset.train)), seed)
    return np.asarray(dataset.train.images[chosen])


def carve(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """Split one part in two, stratified: what is left, and ``count`` images; both in the old order."""
    chosen = np.sort(stratified_sample(split, count, seed))
    left = np.setdiff1d(np.arange(len(split), dtype=np.int64), chosen, assume_unique=True)
    return split.take(left), split.take(chosen)
