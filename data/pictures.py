"""Decodes one picture file of unknown origin to grey pixels, at a size known before decoding."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.data.limits import bad_file, check_image_size, regular_file_size

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".pgm"})
MAX_FILE_BYTES = 16 << 20

# Pillow opens nothing else: no format that runs another program or refers to other files.
_FORMATS = ("PNG", "JPEG", "BMP", "PPM")
_SIMPLE = ("1", "L", "RGB")
_ALPHA = ("LA", "RGBA", "PA", "La", "RGBa")
_PILLOW_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    AttributeError,
    struct.error,
    zlib.error,
)
_DAMAGED = "Replace or remove it."


def picture_size(path: Path) -> tuple[int, int]:
    """Read (height, width) from a picture's header; nothing is decoded."""
    with _open(path) as image:
        return image.height, image.width


def read_picture(path: Path, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Decode a picture to grey.

    Colour becomes grey by ITU-R 601 luma (``0.299 R + 0.587 G + 0.114 B``, as Pillow rounds it), a
    palette by its colours, black and white by 0 and 255. An orientation that a camera noted is applied.

    Args:
        path: a PNG, JPEG, BMP or PGM file, told by its content.
        size: (height, width) that it has to have.

    Returns:
        uint8 of shape ``size``.

    Raises:
        InputError: another kind of file or size, a damaged file, more than one frame, 16 bits a pixel, or
            transparent pixels (on which background they belong only the user knows).
    """
    with _open(path) as image:
        if (image.height, image.width) != size:
            raise bad_file(
                path,
                f"{size[0]}x{size[1]} pixels (height x width) as in the first image",
                f"{image.height}x{image.width}",
                "Resize all images to one size.",
            )
        if getattr(image, "n_frames", 1) != 1:
            raise bad_file(path, "one picture", "an animation", "Store its frames one by one.")
        try:
            grey = _to_grey(path, image)
        except InputError:
            raise
        except _PILLOW_ERRORS as error:
            raise bad_file(path, "a sound picture", str(error) or "a damaged one", _DAMAGED) from error
    if grey.shape != size:
        raise bad_file(path, f"{size[0]}x{size[1]} pixels once turned upright", f"{grey.shape}", "Turn it.")
    return grey


def _open(path: Path) -> Image:
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    if (size_bytes := regular_file_size(path)) > MAX_FILE_BYTES:
        raise bad_file(path, f"at most {MAX_FILE_BYTES:,} bytes", f"{size_bytes:,}", "Use smaller images.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the size is checked below
            image = Pillow.open(path, formats=_FORMATS)
    except Pillow.DecompressionBombError as error:
        raise bad_file(path, "a small image", "a header of very many pixels", "Resize it.") from error
    except UnidentifiedImageError as error:
        found = "an empty file" if not size_bytes else "another kind of file, or a damaged one"
        raise bad_file(path, "a PNG, JPEG, BMP or PGM picture", found, _DAMAGED) from error
    except _PILLOW_ERRORS as error:
        raise bad_file(path, "a sound picture", str(error) or "a damaged one", _DAMAGED) from error
    try:
        check_image_size(path, image.height, image.width)
    except InputError:
        image.close()
        raise
    return image


def _to_grey(path: Path, image: Image) -> npt.NDArray[np.uint8]:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode in _ALPHA or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        if np.asarray(rgba.getchannel("A")).min() < 255:
            raise bad_file(
                path,
                "an opaque picture",
                "transparent pixels",
                "Flatten it on the background that the model should see.",
            )
        upright = rgba.convert("RGB")
    elif upright.mode == "P":
        upright = upright.convert("RGB")
    elif upright.mode not in _SIMPLE:
        raise bad_file(
            path,
            "8-bit grey, colour or a palette",
            f"pixels of Pillow's mode '{upright.mode}'"
            + (" (16 bits)" if upright.mode.startswith("I") else ""),
            "Convert it to 8-bit grey.",
        )
    return np.asarray(upright.convert("L"), np.uint8)
