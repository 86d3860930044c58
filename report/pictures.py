"""Pictures inside the page: arrays and PNG files as data URIs."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError

LARGEST_SIDE = 112
"""Pixels; larger images are scaled down, so that a page of photographs stays small."""
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_bytes(image: npt.NDArray[np.uint8]) -> bytes:
    """A PNG of one image, at most `LARGEST_SIDE` pixels on a side.

    Args:
        image: uint8 of shape (H, W), (H, W, 1) or (H, W, 3).

    Raises:
        InputError: another shape or dtype.
    """
    array: npt.NDArray[Any] = np.asarray(image)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise InputError(
            "picture of an image: expected uint8 of shape (H, W), (H, W, 1) or (H, W, 3), "
            f"found {array.dtype} of shape {np.shape(image)}."
        )
    if 0 in array.shape:
        raise InputError(f"picture of an image: expected pixels, found the empty shape {array.shape}.")
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(array))
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def data_uri(png: bytes, name: str = "picture") -> str:
    """A ``data:`` URI of PNG bytes.

    Raises:
        InputError: the bytes are no PNG.
    """
    if not png.startswith(_PNG_SIGNATURE):
        raise InputError(f"figure '{name}': expected the bytes of a PNG, found something else.")
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
