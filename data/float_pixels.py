"""Float arrays that hold pixels: whole numbers 0..255, or k/255 in 0..1; brought back to uint8 exactly."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.data.limits import bad_file

_CHUNK: Final = 1 << 22
_WHITE: Final = 255.0


def are_floats(dtype: npt.DTypeLike) -> bool:
    """Whether an array of this type may hold pixels as floats."""
    return np.dtype(dtype).kind == "f"


def pixels_of_floats(where: object, array: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], str]:
    """Bring floats back to the pixels that they were made from.

    Values in 0..1 are taken for ``k / 255``, others for whole numbers 0..255. They have to be that as
    exactly as their type holds it: half a step of float16 is up to 0.06 of a pixel, of float32 and float64
    next to nothing.

    Args:
        where: the file and array, for messages.
        array: float16, float32 or float64, of any shape, not empty.

    Returns:
        uint8 of the same shape, and the rule in a sentence.

    Raises:
        InputError: values that are not finite, outside of both ranges, or between two pixels.
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    low, high = float("inf"), float("-inf")
    for start in range(0, len(flat), _CHUNK):
        part = flat[start : start + _CHUNK]
        if not np.isfinite(part).all():
            raise bad_file(
                where,
                "finite pixels",
                f"{array.dtype} with NaN or infinite values",
                "Find and remove the values that are not numbers.",
            )
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    factor = _WHITE if high <= 1 else 1.0
    tolerance = 0.13 if array.dtype == np.float16 and high <= 1 else 1e-3
    pixels = np.empty(len(flat), np.uint8)
    for start in range(0, len(flat), _CHUNK):
        scaled = flat[start : start + _CHUNK].astype(np.float64) * factor
        whole = np.rint(scaled)
        if low < 0 or high > _WHITE or np.abs(scaled - whole).max() > tolerance:
            raise bad_file(
                where,
                "pixels: uint8, or floats that are k/255 in 0..1 or whole numbers 0..255",
                f"{array.dtype} in {low:g}..{high:g}, some between two pixels",
                ("Map -1..1 to 0..255" if -1 <= low < 0 and high <= 1 else "Map them to 0..255")
                + ", round, and store as uint8; `input_range` says what 0 and 255 become for the model.",
            )
        pixels[start : start + len(whole)] = whole.astype(np.uint8)
    rule = "255 times their value" if factor > 1 else "their value"
    note = f"{array.dtype} images were read as the pixels that they were made from: {rule}, exactly."
    return pixels.reshape(array.shape), note
