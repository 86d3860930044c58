from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_export.data import Dataset, Split, calibration_images, stratified_sample
from mnist_export.data.checks import shared_images
from mnist_export.data.splitting import allocate, carve, stratified_indices

Refused = Callable[..., str]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(sum), st.data())
def test_shares_add_up_and_stay_within_the_classes(counts: list[int], data: st.DataObject) -> None:
    classes = np.array(counts, np.int64)
    count = data.draw(st.integers(0, sum(counts)))
    share = allocate(classes, count)
    assert share.sum() == count
    assert np.all((share >= 0) & (share <= classes))
    if count >= np.count_nonzero(classes):
        assert np.all(share[classes > 0] >= 1)


def test_a_sample_is_distinct_stratified_and_the_same_for_a_seed(digits: Dataset) -> None:
    chosen = stratified_sample(digits.train, 300, seed=5)
    assert len(np.unique(chosen)) == 300
    counts, whole = np.bincount(digits.train.labels[chosen]), np.bincount(digits.train.labels)
    assert np.all(np.abs(counts - whole * 300 / len(digits.train)) < 1)
    np.testing.assert_array_equal(chosen, stratified_sample(digits.train, 300, seed=5))
    assert not np.array_equal(chosen, stratified_sample(digits.train, 300, seed=6))


def test_the_first_part_of_a_sample_is_mixed_although_the_data_is_sorted() -> None:
    labels = np.repeat(np.arange(10), 100)
    assert set(labels[stratified_indices(labels, 500, seed=0)][:60]) == set(range(10))


def test_the_choice_is_pinned_so_that_splits_stay_the_same_in_later_versions() -> None:
    labels = np.arange(30, dtype=np.int64) % 3
    assert stratified_indices(labels, 6, seed=0).tolist() == PINNED


PINNED = [11, 3, 20, 13, 21, 1]


def test_impossible_samples_are_refused(digits: Dataset, refused: Refused) -> None:
    for count in (0, -1, 1198, 10**30):
        refused(lambda count=count: stratified_sample(digits.train, count), "1197")
    refused(lambda: stratified_sample(digits.train, 10, seed=-1), "seed")


def test_calibration_images_are_training_images_only(digits: Dataset) -> None:
    images = calibration_images(digits)
    assert images.shape == (300, 28, 28, 1) and images.dtype == np.uint8
    assert shared_images(images, digits.train.images) == 300
    assert shared_images(images, digits.test.images) == 0


def test_calibration_takes_all_of_a_small_training_part_and_refuses_an_empty_one(
    digits: Dataset, refused: Refused
) -> None:
    import dataclasses

    small = dataclasses.replace(digits, train=digits.train.take(np.arange(40)))
    assert len(calibration_images(small)) == 40
    empty = dataclasses.replace(digits, train=digits.train.take(np.arange(0)))
    refused(lambda: calibration_images(empty), "training images")
    refused(lambda: calibration_images(digits, 0), "count of 0")


@pytest.mark.parametrize("count", [1, 7, 119])
def test_carving_loses_and_repeats_nothing(count: int) -> None:
    images = np.arange(120, dtype=np.uint8).reshape(120, 1, 1, 1)
    left, taken = carve(Split(images=images, labels=np.arange(120, dtype=np.int64) % 4), count, seed=1)
    assert len(taken) == count
    assert sorted([*left.images.ravel(), *taken.images.ravel()]) == list(range(120))
    assert np.all(np.diff(left.images.ravel().astype(int)) > 0)
