"""Pixels kept on disk for one run: a file without a name, which goes with its process."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from mnist_export.core.cache import cache_folder
from mnist_export.core.errors import OutputError
from mnist_export.core.images import Pixels, Rows, StreamedImages
from mnist_export.data.limits import shown

MAX_BYTES = 256 << 30
"""Most bytes of pixels that are kept on disk."""

RESERVE_BYTES = 1 << 30
"""Free space that is left to others."""


def pixel_folder() -> Path:
    """Where pixels are kept: the user's cache, or the place for temporaries where it cannot be written."""
    folder = cache_folder() / "pixels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.gettempdir())


def room_bytes() -> int:
    """How many bytes of pixels may be kept now."""
    try:
        free = shutil.disk_usage(pixel_folder()).free
    except OSError:
        return 0
    return max(0, min(MAX_BYTES, free - RESERVE_BYTES))


class RowFile:
    """Rows of a fixed number of bytes in a file that nobody else sees and that needs no cleaning up.

    The file has no name (or loses it at once), so the system frees its space when the process ends, however
    it ends. Nothing is mapped: pages of it never count as this process's memory.

    Args:
        row_bytes: bytes of one row.
    """

    def __init__(self, row_bytes: int) -> None:
        """Make the file, or raise `OutputError`."""
        self._row_bytes = row_bytes
        self._folder = pixel_folder()
        try:
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        except OSError as error:
            raise self._failed(error) from error

    def write(self, first: int, rows: Pixels) -> None:
        """Keep rows from position ``first`` on.

        Raises:
            OutputError: the disk is full.
        """
        content = np.ascontiguousarray(rows).data.cast("B")
        place = first * self._row_bytes
        try:
            while content:
                written = os.pwrite(self._file.fileno(), content, place)
                content, place = content[written:], place + written
        except OSError as error:
            raise self._failed(error) from error

    def read(self, first: int, into: Pixels) -> None:
        """Fill a contiguous array with the rows from position ``first`` on; they have been written."""
        content = into.data.cast("B")
        place = first * self._row_bytes
        while content:
            count = os.preadv(self._file.fileno(), [content], place)
            if count <= 0:
                raise self._failed(OSError("the file ends early"))
            content, place = content[count:], place + count

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(
            f"cannot keep decoded pixels in {shown(self._folder)}: {error.strerror or error}. Free some "
            "space, or set MNIST_EXPORT_CACHE to a folder on a larger disk."
        )


class KeptImages(StreamedImages):
    """Images that are all in a `RowFile`.

    Args:
        rows: the file.
        shape: (n, height, width, channels).
    """

    def __init__(self, rows: RowFile, shape: tuple[int, int, int, int]) -> None:
        """Keep the file."""
        super().__init__(shape)
        self._rows = rows

    def read(self, rows: Rows) -> Pixels:
        """Read images into a new array."""
        found = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for start, stop in runs_of(rows):
            self._rows.read(int(rows[start]), found[start:stop])
        return found


def runs_of(rows: Rows) -> list[tuple[int, int]]:
    """Cut positions into runs that count up by one: (start, stop) of each."""
    if not len(rows):
        return []
    cuts: npt.NDArray[np.int64] = np.flatnonzero(np.diff(rows) != 1) + 1
    edges = [0, *cuts.tolist(), len(rows)]
    return list(itertools.pairwise(edges))
