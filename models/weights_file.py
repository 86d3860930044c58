"""Weights as one .npz: no code in it, the same bytes each time, checked before it is used."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError

Arrays = list[npt.NDArray[np.float32]]


def weights_sha256(weights: Sequence[npt.NDArray[Any]]) -> str:
    """Hex SHA-256 over all arrays in order: dtype, shape and little-endian bytes of each."""
    digest = hashlib.sha256()
    for value in weights:
        plain = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{plain.dtype.str}{plain.shape}".encode())
        digest.update(plain.tobytes())
    return digest.hexdigest()


def pack_weights(weights: Sequence[npt.NDArray[Any]]) -> bytes:
    """Write arrays as an .npz (stored, not compressed; numpy fixes the times in it)."""
    buffer = io.BytesIO()
    arrays = {f"w{number:04d}": np.asarray(value, np.float32) for number, value in enumerate(weights)}
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def read_weights(path: Path, shapes: Sequence[tuple[int, ...]]) -> Arrays:
    """Read an .npz of `pack_weights` for a model whose weights have the given shapes.

    Raises:
        InputError: it cannot be read, holds other arrays, or holds values that are not finite.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            expected = [f"w{number:04d}" for number in range(len(shapes))]
            if sorted(archive.files) != expected:
                raise InputError(
                    f"{path}: expected {len(expected)} weight arrays, found {len(archive.files)}. "
                    "Train the model again."
                )
            weights = [archive[name] for name in expected]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path}: expected weights as .npz, found {error}. Train the model again."
        ) from error
    for number, (value, shape) in enumerate(zip(weights, shapes, strict=True)):
        if value.dtype != np.float32 or value.shape != tuple(shape):
            raise InputError(
                f"{path}: expected array {number} as float32 {tuple(shape)}, found {value.dtype} "
                f"{value.shape}. Train the model again."
            )
        if not np.all(np.isfinite(value)):
            raise InputError(f"{path}: expected finite weights, found NaN or infinity in array {number}.")
    return weights
