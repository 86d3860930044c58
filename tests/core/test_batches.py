"""Batches by bytes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mnist_export.core.batches import LARGEST_BATCH, batch_size, fitting, image_batches
from mnist_export.core.pixels import InputRange
from mnist_export.parity.input_ranges import check_range


def test_small_images_go_in_large_batches_and_large_ones_alone():
    assert batch_size(28 * 28) == LARGEST_BATCH
    assert 8 <= batch_size(160 * 160 * 3) < LARGEST_BATCH
    assert batch_size(10_000 * 10_000 * 3) == 1


@given(st.integers(0, 2000), st.integers(1, 10**9))
def test_batches_cover_every_image_once(count, pixels):
    parts = list(image_batches(count, pixels))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(count))
    assert all(part.stop - part.start <= batch_size(pixels) for part in parts)


def test_the_check_of_the_range_hands_no_more_than_a_batch_to_the_model():
    images = np.zeros((100, 224, 224, 3), np.uint8)
    seen = []

    def call(batch):
        seen.append(len(batch))
        return np.eye(2, dtype=np.float32)[np.zeros(len(batch), int)]

    check_range(call, images, np.zeros(100, int), InputRange(), input_shape=(224, 224, 3))
    assert max(seen) <= batch_size(images[0].size) < 100
    assert sum(seen) == 100


def test_batches_of_known_cost_fit_the_budget():
    assert fitting(40 << 20) == 6
    assert fitting(40 << 20, largest=4) == 4
    assert fitting(1 << 40) == 1
    assert fitting(0) == LARGEST_BATCH
