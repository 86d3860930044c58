"""The IDX format of the MNIST files: a big-endian header, then unsigned bytes.

Layout: two zero bytes, a type code (0x08 for unsigned bytes), the number of dimensions, one 32-bit
big-endian size a dimension, the data in row-major order. Source: "The MNIST database", section "File
formats", https://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.data.limits import (
    MAX_IDX_ASPECT,
    bad_file,
    check_array_bytes,
    check_image_size,
    regular_file_size,
)

_CHUNK = 1 << 20
_OTHER_TYPES = {0x09: "signed bytes", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}
_DAMAGED = "The file is damaged: copy or download it again."

Read = Callable[[int], bytes]


def encode_idx(array: npt.NDArray[np.uint8]) -> bytes:
    """Write a uint8 array of 1 to 255 dimensions as IDX bytes, uncompressed."""
    return idx_header(array.shape) + np.ascontiguousarray(array).tobytes()


def idx_header(shape: tuple[int, ...]) -> bytes:
    """Bytes before the data of a uint8 array of this shape."""
    return struct.pack(f">HBB{len(shape)}I", 0, 0x08, len(shape), *shape)


def idx_sha256(array: npt.NDArray[np.uint8]) -> str:
    """Hex SHA-256 of the array's uncompressed IDX file, whatever file it was read from.

    The published archives exist recompressed in several ways; their content has one hash.
    """
    digest = hashlib.sha256(idx_header(array.shape))
    digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def read_idx_images(path: Path) -> npt.NDArray[np.uint8]:
    """Read an IDX file of images, gzip-compressed or not.

    Returns:
        uint8 of shape (n, height, width), n at least 1.

    Raises:
        InputError: it is not such a file, whole and sound, or its images have unusable sides.
    """
    images = read_idx(path, 3)
    check_image_size(path, *images.shape[1:], max_aspect=MAX_IDX_ASPECT)
    return images


def read_idx_labels(path: Path) -> npt.NDArray[np.uint8]:
    """Read an IDX file of labels, gzip-compressed or not; uint8 of shape (n,), n at least 1."""
    return read_idx(path, 1)


def read_idx(path: Path, ndim: int) -> npt.NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, gzip-compressed or not (told by content, not by name).

    The header is checked against the file's size before anything of the promised size is allocated,
    and a compressed file is never unpacked further than one byte past what its header promises.

    Args:
        path: the file.
        ndim: how many dimensions to demand.

    Raises:
        InputError: it is not such a file, whole and sound.
    """
    stored_bytes = regular_file_size(path)
    try:
        with path.open("rb") as stream:
            if stream.read(2) == b"\x1f\x8b":
                stream.seek(0)
                return _read_body(path, _GzipReader(stream, path).read, ndim, stored_bytes, None)
            stream.seek(0)
            return _read_body(path, stream.read, ndim, stored_bytes, stored_bytes)
    except OSError as error:
        raise bad_file(path, "a readable file", error.strerror or str(error), "Check the disk.") from error


def _read_body(
    path: Path, read: Read, ndim: int, stored_bytes: int, total_bytes: int | None
) -> npt.NDArray[np.uint8]:
    header_bytes = 4 + 4 * ndim
    shape = _parse_header(path, read(header_bytes), ndim, total_bytes)
    promised = math.prod(shape)
    if total_bytes is not None and header_bytes + promised != total_bytes:
        raise _wrong_length(path, promised, total_bytes - header_bytes, shape)
    check_array_bytes(path, promised, stored_bytes)
    data = np.empty(promised, np.uint8)  # untouched pages cost nothing until data arrives
    view = data.data
    filled = 0
    while filled < promised and (block := read(min(_CHUNK, promised - filled))):
        view[filled : filled + len(block)] = block
        filled += len(block)
    if filled < promised or read(1):
        raise _wrong_length(path, promised, filled if filled < promised else None, shape)
    return data.reshape(shape)


def _parse_header(path: Path, header: bytes, ndim: int, total_bytes: int | None) -> tuple[int, ...]:
    expected = f"an IDX file of {'images' if ndim == 3 else 'labels'} (magic number {0x0800 + ndim})"
    if len(header) < 4:
        raise bad_file(path, expected, f"{len(header)} bytes", _DAMAGED)
    magic = int.from_bytes(header[:4], "big")
    if magic != 0x0800 + ndim:
        kind, found_ndim = header[2], header[3]
        if int.from_bytes(header[:4], "little") == 0x0800 + ndim:
            found, advice = "its bytes in little-endian order", "Write the header big-endian."
        elif header[:2] == b"\0\0" and kind in _OTHER_TYPES:
            found, advice = _OTHER_TYPES[kind], "Convert the data to unsigned bytes 0..255."
        elif header[:3] == b"\0\0\x08":
            found = f"{found_ndim} dimensions instead of {ndim}"
            advice = "Check that images and labels are not swapped."
        else:
            found, advice = f"magic number 0x{magic:08x}", "Check that this is the right file."
        raise bad_file(path, expected, found, advice)
    if len(header) < 4 + 4 * ndim:
        raise bad_file(path, f"a header of {4 + 4 * ndim} bytes", f"{len(header)} bytes", _DAMAGED)
    shape = struct.unpack(f">{ndim}I", header[4:])
    if 0 in shape:
        raise bad_file(
            path, "at least one item in every dimension", f"shape {shape}", "Use a file with data."
        )
    swapped = struct.unpack(f"<{ndim}I", header[4:])
    promised = math.prod(shape)
    if math.prod(swapped) < promised and (
        4 + 4 * ndim + math.prod(swapped) == total_bytes or (total_bytes is None and promised > 1 << 36)
    ):
        raise bad_file(
            path, "big-endian sizes", f"little-endian ones {swapped}", "Write the header big-endian."
        )
    return tuple(shape)


def _wrong_length(path: Path, promised: int, found: int | None, shape: tuple[int, ...]) -> InputError:
    """Report too few bytes, or (``found`` None or larger) too many."""
    text = "more" if found is None else f"{max(found, 0):,}"
    return bad_file(path, f"{promised:,} bytes of data for shape {shape}", text, _DAMAGED)


class _GzipReader:
    """Reads a gzip stream in bounded steps; zlib checks the CRC and the length at its end."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream = stream
        self._path = path
        self._inflate = zlib.decompressobj(wbits=31)
        self._pending = b""

    def read(self, count: int) -> bytes:
        """Return up to ``count`` bytes, fewer only at the end of the stream."""
        blocks: list[bytes] = []
        while count > 0:
            if self._inflate.eof:
                self._expect_end()
                break
            if not self._pending:
                self._pending = self._stream.read(_CHUNK)
                if not self._pending:
                    raise bad_file(self._path, "a whole gzip file", "its end missing", _DAMAGED)
            try:
                block = self._inflate.decompress(self._pending, count)
            except zlib.error as error:
                raise bad_file(self._path, "a sound gzip file", str(error), _DAMAGED) from error
            self._pending = self._inflate.unconsumed_tail
            blocks.append(block)
            count -= len(block)
        return b"".join(blocks)

    def _expect_end(self) -> None:
        if self._inflate.unused_data or self._stream.read(1):
            raise bad_file(self._path, "one gzip stream", "further bytes after its end", _DAMAGED)
