"""The forms in which two runtimes can hold one layer's values.

Images are NHWC or NCHW. Files that are rewritten for speed hold a convolution's map in blocks: for blocks of
R rows and K columns a map of (H, W, C) is (H / R, W / K, R * K * C). The channels of a block run over its
rows, the columns within a pool's window, the windows of the block, and C, slowest first; without a pool that
is the plain reshape. Rows and columns that a pool never reads may be missing at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
Pair = tuple[Values, Values]
_UNREAD: Final = 2  # rows or columns that a pool of up to 3x3 leaves out at the end


def same_layouts(reference: Values, candidate: Values) -> Iterator[Pair]:
    """The candidate in the reference's layout, where both hold the same map.

    Args:
        reference: shape (n, ...).
        candidate: shape (n, ...).

    Yields:
        The reference as it is, and the candidate: as it is, turned from NCHW or to it, or without axes of 1.
    """
    found = False
    for values in _turned(candidate):
        if values.shape == reference.shape:
            found = True
            yield reference, values
    if not found and _bare(candidate) == _bare(reference):
        yield reference, candidate.reshape(reference.shape)


def _turned(values: Values) -> Iterator[Values]:
    yield values
    if values.ndim == 4:
        yield values.transpose(0, 2, 3, 1)
        yield values.transpose(0, 3, 1, 2)


def _bare(values: Values) -> tuple[int, ...]:
    return tuple(size for size in values.shape[1:] if size != 1)


def rewritten_layouts(reference: Values, candidate: Values) -> Iterator[Pair]:
    """Both as maps of one shape, where one of them is in blocks or without its unread end.

    Args:
        reference: shape (n, ...).
        candidate: shape (n, ...).

    Yields:
        Both in NHWC, of one shape; every way that the sizes allow, most of them wrong: likeness decides.
    """
    if reference.ndim != 4 or candidate.ndim != 4:
        return
    for ours in (reference, reference.transpose(0, 2, 3, 1)):
        for theirs in (candidate, candidate.transpose(0, 2, 3, 1)):
            for plain in _unblocked(theirs, ours.shape):
                yield ours, plain
            for plain in _unblocked(ours, theirs.shape):
                yield plain, theirs
            if _is_cropped(theirs.shape, ours.shape):
                yield ours[:, : theirs.shape[1], : theirs.shape[2]], theirs
            elif _is_cropped(ours.shape, theirs.shape):
                yield ours, theirs[:, : ours.shape[1], : ours.shape[2]]


def _unblocked(values: Values, shape: tuple[int, ...]) -> Iterator[Values]:
    """Values in blocks as a map of the shape (n, H, W, C), for every width of a pool's window."""
    _, height, width, channels = shape
    rows, columns = height // values.shape[1], width // values.shape[2]
    fits = height == rows * values.shape[1] and width == columns * values.shape[2]
    if not fits or rows * columns < 2 or values.shape[3] != rows * columns * channels:
        return
    for window in range(1, columns + 1):
        if columns % window == 0:
            split = values.reshape(
                -1, values.shape[1], values.shape[2], rows, window, columns // window, channels
            )
            yield split.transpose(0, 1, 3, 2, 5, 4, 6).reshape(-1, height, width, channels)


def _is_cropped(less: tuple[int, ...], more: tuple[int, ...]) -> bool:
    missing = more[1] - less[1], more[2] - less[2]
    return less[3] == more[3] and min(missing) >= 0 and 0 < max(missing) <= _UNREAD
