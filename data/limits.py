"""Limits on what a file of unknown origin may cost, and the one-line errors that name them."""

from __future__ import annotations

import stat
from pathlib import Path

from mnist_export.core.errors import InputError

MAX_ARRAY_BYTES = 1 << 30
"""Largest array read from one file or folder, in bytes: 1.3 million images of 28x28."""

MAX_RATIO = 200
"""Largest uncompressed : compressed ratio of an array above `RATIO_FREE_BYTES` (MNIST has 5)."""

RATIO_FREE_BYTES = 64 << 20
"""Arrays up to this size in bytes may be compressed as well as they like."""

MIN_SIDE, MAX_SIDE = 4, 1024
"""Sides of an image in pixels."""

MAX_IDX_ASPECT = 3
"""The longer side over the shorter in IDX files, whose headers have no checksum."""


def shown(text: object) -> str:
    """Write a name for a terminal: control characters and lone surrogates become escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text))


def bad_file(path: object, expected: str, found: str, advice: str) -> InputError:
    """Build the error ``PATH: expected X, found Y. What to do.``."""
    return InputError(f"{shown(path)}: expected {expected}, found {shown(found)}. {advice}")


def regular_file_size(path: Path) -> int:
    """Size in bytes of a regular file.

    Raises:
        InputError: it is missing, cannot be looked at, or is a folder, a device or a pipe.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise bad_file(path, "a file", error.strerror or str(error), "Check the path.") from error
    if not stat.S_ISREG(status.st_mode):
        raise bad_file(path, "a regular file", "a folder, device or pipe", "Name a file.")
    return status.st_size


def check_array_bytes(path: object, array_bytes: int, stored_bytes: int) -> None:
    """Refuse an array that is too large, or too large for the compressed bytes it comes from.

    Args:
        path: the file, for the message.
        array_bytes: what its header promises.
        stored_bytes: what it takes on disk, compressed.
    """
    if array_bytes > MAX_ARRAY_BYTES:
        raise bad_file(
            path,
            f"at most {MAX_ARRAY_BYTES:,} bytes of data",
            f"a header that promises {array_bytes:,}",
            "Split the data set, or check where the file is from.",
        )
    if array_bytes > RATIO_FREE_BYTES and array_bytes > MAX_RATIO * stored_bytes:
        raise bad_file(
            path,
            f"at most {MAX_RATIO} bytes of data from one compressed byte",
            f"{array_bytes:,} from {stored_bytes:,}",
            "Store it uncompressed if it is meant to be so, or check where the file is from.",
        )


def check_image_size(
    path: object, height: int, width: int, *, max_aspect: int | None = None, least: int = MIN_SIDE
) -> None:
    """Refuse images that are tiny or huge.

    Args:
        path: where they are from.
        height: pixels.
        width: pixels.
        max_aspect: the longer side over the shorter, at most; None for any. A header of raw bytes that is
            damaged still fits its file where the two are changed together, as 56x14 does for 28x28.
        least: pixels of the shorter side; rows of features are 1 high, and have as many pixels as a square.
    """
    sides = sorted((height, width))
    longest = MAX_SIDE if max_aspect is None else max_aspect * sides[0]
    few = height * width < MIN_SIDE * MIN_SIDE
    if sides[0] < least or few or sides[1] > min(MAX_SIDE, longest):
        raise bad_file(
            path,
            f"images of {least} to {MAX_SIDE} pixels a side"
            + ("" if least == MIN_SIDE else f" and at least {MIN_SIDE * MIN_SIDE} pixels")
            + ("" if max_aspect is None else f", no longer than {max_aspect} times the other"),
            f"{height}x{width}",
            "Resize the images, or check that their rows and columns are not mixed up.",
        )
