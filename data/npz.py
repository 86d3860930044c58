"""Reads arrays from an .npz file as data: never pickled objects, never more than the file can hold."""

from __future__ import annotations

import contextlib
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from mnist_export.data.limits import bad_file, check_array_bytes, regular_file_size

_CHUNK = 1 << 20
_MAX_MEMBERS = 256
_MAX_HEADER_BYTES = 4096
_HEADER = re.compile(
    r"\{'descr': '(?P<type>[<>|=]?[?a-zA-Z]\d{0,9})', 'fortran_order': (?P<fortran>True|False), "
    r"'shape': \((?P<shape>(?:-?\d{1,18},? ?){0,32})\),? ?\}"
)
_ZIP_ERRORS = (
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
_DAMAGED = "The file is damaged: copy or write it again."


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a .npy member says of itself, checked against the member's size.

    Attributes:
        shape: sizes, 0 or more each.
        dtype: a type without Python objects.
        fortran_order: whether the first index varies fastest.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool


class NpzFile:
    """An .npz file opened for reading; a context manager.

    Args:
        path: the file.

    Raises:
        InputError: it is not a zip archive of .npy members, or has a member twice.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and check its list of members."""
        self.path = path
        regular_file_size(path)
        try:
            self._zip = zipfile.ZipFile(path)
        except _ZIP_ERRORS as error:
            raise bad_file(
                path, "an .npz file", str(error) or "something else", "Write it with numpy.savez."
            ) from error
        names = [info.filename for info in self._zip.infolist()]
        try:
            self._check_members(names)
        except BaseException:
            self._zip.close()
            raise
        self.keys: tuple[str, ...] = tuple(name.removesuffix(".npy") for name in names)

    def _check_members(self, names: list[str]) -> None:
        if len(names) > _MAX_MEMBERS:
            raise bad_file(
                self.path, f"at most {_MAX_MEMBERS} arrays", f"{len(names)}", "Keep what is needed."
            )
        keys = [name.removesuffix(".npy") for name in names]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise bad_file(self.path, "each array once", f"'{twice[0]}' twice", "Write it with numpy.savez.")

    def __enter__(self) -> NpzFile:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._zip.close()

    def require(self, keys: Collection[str]) -> None:
        """Refuse the file unless it has all of ``keys``; the error lists those found."""
        missing = [key for key in keys if key not in self.keys]
        if missing:
            raise bad_file(
                self.path,
                f"arrays {', '.join(keys)}",
                f"{', '.join(self.keys) or 'none'} (no {', '.join(missing)})",
                "Write it with numpy.savez and these names.",
            )

    def _member(self, key: str) -> zipfile.ZipInfo:
        info = next(i for i in self._zip.infolist() if i.filename.removesuffix(".npy") == key)
        if info.flag_bits & 0x1:
            raise bad_file(self.path, "readable arrays", f"'{key}' encrypted", "Write it with numpy.savez.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise bad_file(
                self.path,
                "stored or deflated arrays",
                f"'{key}' with compression {info.compress_type}",
                "Write it with numpy.savez_compressed.",
            )
        return info

    def read(self, key: str, *, at_most_items: int | None = None) -> npt.NDArray[Any]:
        """Read one array.

        Args:
            key: its name; `require` it first.
            at_most_items: read only so many items from the start, flat; None reads all.

        Returns:
            The array in C order in its own dtype, or the first items as shape (k,).

        Raises:
            InputError: the member is damaged, holds Python objects, or its header does not fit its size.
        """
        with self._opened(key) as (stream, header, where):
            items = math.prod(header.shape)
            if at_most_items is not None:
                return _fill(stream, min(items, at_most_items), header.dtype, where)
            flat = _fill(stream, items, header.dtype, where)
            if stream.read(1):
                raise bad_file(where, "no bytes after the array", "more", _DAMAGED)
        if header.fortran_order:
            return np.ascontiguousarray(flat.reshape(header.shape[::-1]).T)
        return flat.reshape(header.shape)

    def header(self, key: str) -> Header:
        """Read only what one array says of itself; raises as `read` does."""
        with self._opened(key) as (_, header, _):
            return header

    @contextlib.contextmanager
    def _opened(self, key: str) -> Iterator[tuple[IO[bytes], Header, str]]:
        """Open a member at its data; turn whatever the archive's damage raises into `InputError`."""
        info = self._member(key)
        where = f"{self.path}[{key}]"
        try:
            with self._zip.open(info) as stream:
                yield stream, self._header(stream, info, where), where
        except _ZIP_ERRORS as error:
            raise bad_file(where, "a sound array", str(error) or "its end missing", _DAMAGED) from error

    def _header(self, stream: IO[bytes], info: zipfile.ZipInfo, where: str) -> Header:
        header, data_start = parse_npy_header(stream, where)
        promised = math.prod(header.shape) * header.dtype.itemsize
        check_array_bytes(where, promised, max(info.compress_size, 1))
        if promised + data_start != info.file_size:
            raise bad_file(
                where,
                f"{promised:,} bytes of data for shape {header.shape} of {header.dtype}",
                f"{info.file_size - data_start:,}",
                _DAMAGED,
            )
        return header


def parse_npy_header(stream: IO[bytes], where: str) -> tuple[Header, int]:
    """Read a .npy header from the start of a stream: what it says, and where the data starts.

    Only the one form that numpy writes for arrays of a plain type is read, by a pattern and not by
    Python's parser, which hostile text can drive into errors of many kinds. Source: numpy, "NEP 1: A
    simple file format for NumPy arrays".
    """
    start = stream.read(8)
    if start[:6] != b"\x93NUMPY":
        raise bad_file(where, "a .npy array", "something else", "Write it with numpy.savez.")
    if start[6:] not in (b"\1\0", b"\2\0"):
        found = ".".join(map(str, start[6:]))
        raise bad_file(where, ".npy version 1.0 or 2.0", f"version {found}", "Write it with numpy.savez.")
    length_bytes = 2 if start[6] == 1 else 4
    length = int.from_bytes(stream.read(length_bytes), "little")
    if length > _MAX_HEADER_BYTES:
        raise bad_file(where, f"a header of at most {_MAX_HEADER_BYTES} bytes", f"{length:,}", _DAMAGED)
    text = stream.read(length).decode("latin1")
    fields = _HEADER.fullmatch(text.strip())
    if fields is None:
        raise bad_file(where, "the header of a plain array", text.strip()[:80], "Write it with numpy.savez.")
    if fields["type"].lstrip("<>|=").startswith("O"):
        raise bad_file(
            where,
            "plain numbers",
            "pickled Python objects, which are never opened",
            "Write uint8 images and integer labels.",
        )
    try:
        dtype: np.dtype[Any] = np.dtype(fields["type"])
    except (TypeError, ValueError) as error:
        raise bad_file(where, "a plain type", fields["type"], "Write it with numpy.savez.") from error
    shape = tuple(int(size) for size in fields["shape"].split(",") if size.strip())
    if any(size < 0 for size in shape):
        raise bad_file(where, "sizes of 0 or more", f"shape {shape}", _DAMAGED)
    header = Header(shape=shape, dtype=dtype, fortran_order=fields["fortran"] == "True")
    return header, len(start) + length_bytes + length


def _fill(stream: IO[bytes], items: int, dtype: np.dtype[Any], where: str) -> npt.NDArray[Any]:
    promised = items * dtype.itemsize
    data = np.empty(promised, np.uint8)
    view = data.data
    filled = 0
    while filled < promised and (block := stream.read(min(_CHUNK, promised - filled))):
        view[filled : filled + len(block)] = block
        filled += len(block)
    if filled < promised:
        raise bad_file(where, f"{promised:,} bytes of data", f"{filled:,}", _DAMAGED)
    return data.view(dtype) if dtype.itemsize else np.empty(items, dtype)
