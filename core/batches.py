"""How many images go through a network at once, by bytes: large pictures do not fill memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

BUDGET_BYTES: Final = 1 << 28
"""What a batch's activations may take, about: a quarter of a GiB. More is no faster: it leaves the caches."""
LARGEST_BATCH: Final = 256
_ACTIVATIONS: Final = 64
"""Bytes of a network's live activations over the bytes of its float32 input. MobileNetV2 at 160x160 keeps its
largest two maps, 2.4 and 2.4 MB for an input of .3 MB, and a runtime's scratch space beside them."""


def fitting(bytes_each: int, *, budget_bytes: int = BUDGET_BYTES, largest: int = LARGEST_BATCH) -> int:
    """Images of one batch where it is known what one of them takes.

    Args:
        bytes_each: memory of one image's activations.
        budget_bytes: what the batch may take.
        largest: never more than this.

    Returns:
        1 to ``largest``.
    """
    return max(1, min(largest, budget_bytes // max(1, bytes_each)))


def batch_size(pixels: int, *, budget_bytes: int = BUDGET_BYTES, largest: int = LARGEST_BATCH) -> int:
    """Images of one batch, judged by the input's size alone.

    Args:
        pixels: values of one image: height times width times channels.
        budget_bytes: what the batch's activations may take, about.
        largest: never more than this.

    Returns:
        1 to ``largest``.
    """
    return fitting(pixels * 4 * _ACTIVATIONS, budget_bytes=budget_bytes, largest=largest)


def image_batches(count: int, pixels: int, *, budget_bytes: int = BUDGET_BYTES) -> Iterator[slice]:
    """Cut ``count`` images into batches of `batch_size`, in order.

    Args:
        count: number of images.
        pixels: values of one image.
        budget_bytes: see `batch_size`.
    """
    size = batch_size(pixels, budget_bytes=budget_bytes)
    for start in range(0, count, size):
        yield slice(start, min(count, start + size))
