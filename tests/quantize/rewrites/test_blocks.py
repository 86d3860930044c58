"""The arithmetic of blocks, against a plain convolution in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_export.core.graph import Padding
from mnist_export.quantize.rewrites.blocks import (
    Window,
    gathering,
    plan_gathered,
    plan_height,
    plan_width,
    toeplitz,
)

EXACT = np.int64


def convolve(image, weights, windows):
    """image (H, W, I), weights (O, kh, kw, I) -> (oh, ow, O), by the definition."""
    height, width = windows
    before = height.before, width.before
    padded = np.pad(image.astype(EXACT), ((before[0], 64), (before[1], 64), (0, 0)))
    made = np.zeros((height.outputs, width.outputs, weights.shape[0]), EXACT)
    for y in range(height.outputs):
        for x in range(width.outputs):
            top, left = y * height.stride, x * width.stride
            patch = padded[top : top + weights.shape[1], left : left + weights.shape[2]]
            made[y, x] = np.tensordot(weights.astype(EXACT), patch, 3)
    return made


@settings(max_examples=60, deadline=None)
@given(
    size=st.sampled_from([4, 6, 8, 12, 14, 15]),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 2),
    padding=st.sampled_from(list(Padding)),
    count=st.integers(2, 4),
    rows=st.integers(1, 2),
    gathered=st.booleans(),
    seed=st.integers(0, 99),
)
def test_blocked_convolution_equals_the_plain_one(size, kernel, stride, padding, count, rows, gathered, seed):
    window = Window(size=size, kernel=kernel, stride=stride, padding=padding)
    if window.outputs < 1:
        return
    height, width = plan_height(window, rows), plan_width(window, count)
    if height is None or width is None:
        return
    rng = np.random.default_rng(seed)
    image = rng.integers(-9, 9, (size, size, 2))
    weights = rng.integers(-9, 9, (3, kernel, kernel, 2)).astype(np.int8)
    expected = convolve(image, weights, (window, window))

    blocks = image.reshape(size, size // width.block, -1)
    if gathered:
        joined = plan_gathered(width, window, 2)
        copied = gathering(width, joined.block, 2)
        one_row = Window(size=size, kernel=1, stride=1, padding=Padding.VALID)
        blocks, width = convolve(blocks, copied, (one_row, width.window)), joined
    kernel_over_blocks = toeplitz(weights, height, width, (stride, stride), 1)
    found = convolve(blocks, kernel_over_blocks, (height.window, width.window))

    laid = found.reshape(*found.shape[:2], rows, count, 3).transpose(0, 2, 1, 3, 4)
    np.testing.assert_array_equal(laid.reshape(expected.shape), expected)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"), [(28, 5, 1, Padding.SAME), (14, 5, 1, Padding.VALID)]
)
def test_published_sizes_can_be_blocked(size, kernel, stride, padding):
    window = Window(size=size, kernel=kernel, stride=stride, padding=padding)

    assert plan_width(window, 2) is not None
    assert plan_height(window, 2) is not None


def test_columns_that_do_not_divide_are_refused():
    window = Window(size=7, kernel=3, stride=1, padding=Padding.SAME)

    assert plan_width(window, 2) is None
    assert plan_height(window, 2) is None


def test_same_padding_puts_the_smaller_half_first():
    window = Window(size=28, kernel=4, stride=2, padding=Padding.SAME)

    assert (window.outputs, window.before) == (14, 1)
