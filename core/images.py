"""Images that are read when they are needed: an array's face over what need not fit in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]
Key: TypeAlias = "int | np.integer[Any] | slice | npt.NDArray[Any] | list[int]"

READ_BYTES = 32 << 20
"""Pixels that one step of a pass over all images reads at once, about."""


class StreamedImages(ABC):
    """uint8 images of shape (n, height, width, channels), of which only what is asked for is in memory.

    Indexing reads, as h5py's data sets do: a slice or an array of positions gives an array of those images,
    one number gives one image. ``numpy.asarray`` reads everything. `pick` reads nothing.

    Attributes:
        shape: (n, height, width, channels).
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, shape: tuple[int, int, int, int]) -> None:
        """Keep the shape."""
        self.shape = shape

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels, were they in memory."""
        return self.shape[0] * self.shape[1] * self.shape[2] * self.shape[3]

    def __len__(self) -> int:
        """Count the images."""
        return self.shape[0]

    def __getitem__(self, key: Key) -> Pixels:
        """Read the images at a slice, an array of positions or flags, or one position."""
        if isinstance(key, int | np.integer):
            one: Pixels = self.read(_rows(np.asarray([key]), len(self)))[0]
            return one
        if isinstance(key, slice):
            return self.read(np.arange(len(self), dtype=np.int64)[key])
        return self.read(_rows(np.asarray(key), len(self)))

    def __iter__(self) -> Iterator[Pixels]:
        """Give one image after the other, reading some at a time."""
        for batch in batches_of(self):
            yield from batch

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read all images."""
        everything = self.read(np.arange(len(self), dtype=np.int64))
        return everything if dtype is None else everything.astype(dtype, copy=False)

    def pick(self, rows: Rows) -> StreamedImages:
        """The images at some positions, still to be read.

        Args:
            rows: int64 of shape (k,), 0 or more.
        """
        return _Picked(self, np.asarray(rows, np.int64))

    @abstractmethod
    def read(self, rows: Rows) -> Pixels:
        """Read images into a new array.

        Args:
            rows: int64 of shape (k,), each 0 to n - 1.
        """


Images: TypeAlias = "Pixels | StreamedImages"
"""An array of images, or what reads like one."""


class _Picked(StreamedImages):
    """Some of another's images, in an order of its own."""

    def __init__(self, source: StreamedImages, rows: Rows) -> None:
        _, height, width, channels = source.shape
        super().__init__((len(rows), height, width, channels))
        self._source, self._positions = source, rows

    def read(self, rows: Rows) -> Pixels:
        return self._source.read(self._positions[rows])

    def pick(self, rows: Rows) -> StreamedImages:
        return self._source.pick(self._positions[rows])


def picked(images: Images, rows: Rows) -> Images:
    """The images at some positions: copied from an array, still to be read from what is streamed.

    Args:
        images: uint8 of shape (n, height, width, channels).
        rows: int64 of shape (k,).
    """
    return images.pick(rows) if isinstance(images, StreamedImages) else images[rows]


def first_images(images: Images, count: int) -> Images:
    """The first ``count`` images, or all where there are fewer; nothing is copied or read."""
    if isinstance(images, StreamedImages):
        return images.pick(np.arange(min(count, len(images)), dtype=np.int64))
    return images[:count]


def batches_of(images: Images) -> Iterator[Pixels]:
    """All images in arrays of at most 256, and of about `READ_BYTES` each, in order.

    Args:
        images: uint8 of shape (n, height, width, channels).
    """
    pixels = images.shape[1] * images.shape[2] * images.shape[3]
    size = max(1, min(256, READ_BYTES // max(1, pixels)))
    for start in range(0, len(images), size):
        yield images[start : start + size]


def save_images(path: Path, images: Images) -> None:
    """Write images as an .npy file, some at a time.

    Args:
        path: the file.
        images: uint8 of shape (n, height, width, channels).
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": images.shape}
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for batch in batches_of(images):
            stream.write(np.ascontiguousarray(batch).data)


def _rows(key: npt.NDArray[Any], count: int) -> Rows:
    rows = np.flatnonzero(key) if key.dtype == np.bool_ else key.astype(np.int64)
    rows = np.where(rows < 0, rows + count, rows).astype(np.int64)
    if len(rows) and not 0 <= rows.min() <= rows.max() < count:
        raise IndexError(f"image {rows.max()} of {count}")
    return rows
