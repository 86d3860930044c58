"""The archive of a golden file: plain arrays in an .npz, nothing pickled, read within bounds."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.files import write_atomic_one
from mnist_export.data.limits import check_array_bytes
from mnist_export.data.npz import parse_npy_header

MAX_BYTES: Final = 1 << 30
MAX_MEMBERS: Final = 4096


def write_members(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write arrays, whole or not at all; the same content gives the same bytes.

    Args:
        path: the .npz.
        arrays: by name, in the order in which they are written.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, member.getvalue())
    write_atomic_one(path, stream.getvalue())


def read_members(path: Path) -> dict[str, bytes]:
    """Read every array of an archive, bounded.

    Raises:
        InputError: it cannot be read, is damaged, or claims more than is taken.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            if len(entries) > MAX_MEMBERS or total > MAX_BYTES:
                raise InputError(f"{path}: claims {len(entries)} arrays of {total} bytes, which is refused.")
            for entry in entries:
                check_array_bytes(path, entry.file_size, max(entry.compress_size, 1))
            if len({entry.filename for entry in entries}) != len(entries):
                raise InputError(f"{path}: holds an array twice. Record it again.")
            return {entry.filename.removesuffix(".npy"): archive.read(entry) for entry in entries}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(
            f"{path}: expected a golden .npz, found a damaged archive ({error}). Record it again."
        ) from error
    except Exception as error:  # zlib.error has no base but Exception
        if type(error).__name__ != "error":
            raise
        raise InputError(f"{path}: the archive's data is damaged ({error}). Record it again.") from error


def member_array(members: dict[str, bytes], name: str, dtype: npt.DTypeLike, label: str) -> npt.NDArray[Any]:
    """Take one array out of what `read_members` gives.

    Args:
        members: from `read_members`.
        name: of the array.
        dtype: that it must have.
        label: the file's name for messages.

    Raises:
        InputError: there is none, or it is of another type or damaged.
    """
    if name not in members:
        raise InputError(f"{label}: expected the array '{name}' of a golden file, found none of that name.")
    header, start = parse_npy_header(io.BytesIO(members[name]), f"{label}: the array '{name}'")
    shape, found, body = header.shape, header.dtype, members[name][start:]
    if found != np.dtype(dtype) or header.fortran_order or math.prod(shape) * found.itemsize != len(body):
        raise InputError(
            f"{label}: expected '{name}' as {np.dtype(dtype)}, found {found} of shape {shape} in "
            f"{len(body)} bytes. Record it again."
        )
    return np.frombuffer(body, found).reshape(shape)
