"""Pictures in files as images that are decoded when they are needed, and then kept on disk for the run."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from mnist_export.core.images import Pixels, Rows, StreamedImages
from mnist_export.data.picture_list import PictureList
from mnist_export.data.picture_options import Resize
from mnist_export.data.pictures import Picture, read_picture
from mnist_export.data.row_file import RowFile, runs_of

_MOST_THREADS = 4


class PictureStore(StreamedImages):
    """Pictures in files, decoded on demand.

    Args:
        files: the pictures, in order.
        size: (height, width) of the images.
        channels: 1 or 3.
        resize: how a picture of another size is brought there; None refuses it.
        keep: whether decoded pixels are kept on disk, so that a second pass does not decode again.
    """

    def __init__(
        self, files: PictureList, *, size: tuple[int, int], channels: int, resize: Resize | None, keep: bool
    ) -> None:
        """Note what is to be read; nothing is."""
        super().__init__((len(files), *size, channels))
        self.files, self._size, self._channels, self._resize = files, size, channels, resize
        self._kept = RowFile(size[0] * size[1] * channels) if keep else None
        self._is_kept = np.zeros(len(files) if keep else 0, np.bool_)

    def picture(self, row: int) -> Picture:
        """Decode one picture, whatever is kept.

        Raises:
            InputError: it cannot be read.
        """
        return read_picture(self.files[row], self._size, channels=self._channels, resize=self._resize)

    def read(self, rows: Rows) -> Pixels:
        """Read images into a new array.

        Raises:
            InputError: a file is no picture, is damaged, or has another size and no way to resize was given.
            OutputError: the disk that pixels are kept on is full.
        """
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)
        if self._kept is None:
            self._decode(rows, found)
            return found
        missing = np.flatnonzero(~self._is_kept[rows])
        if len(missing):
            decoded = np.empty((len(missing), *self.shape[1:]), np.uint8)
            self._decode(rows[missing], decoded)
            for start, stop in runs_of(rows[missing]):
                self._kept.write(int(rows[missing[start]]), decoded[start:stop])
            self._is_kept[rows[missing]] = True
            if len(missing) == len(rows):
                return decoded
        for start, stop in runs_of(rows):
            self._kept.read(int(rows[start]), found[start:stop])
        return found

    def _decode(self, rows: Rows, into: Pixels) -> None:
        if len(rows) == 1:
            into[0] = self.picture(int(rows[0])).pixels
            return
        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
            for place, picture in enumerate(pool.map(self.picture, rows.tolist())):
                into[place] = picture.pixels
