"""Decodes one picture file of unknown origin, at a size known before decoding, to grey or colour."""

from __future__ import annotations

import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.data.limits import bad_file, regular_file_size
from mnist_export.data.picture_options import Resize
from mnist_export.data.resizing import resized, to_uint8

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".ppm"})
MAX_FILE_BYTES = 16 << 20
MAX_PIXELS = 64 << 20
"""Most pixels of one picture, by its header: above what cameras take, 192 MiB once decoded."""

# Pillow opens nothing else: no format that runs another program or refers to other files.
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
_FIRST_OF_MANY = "MPO"  # a camera's JPEG with previews behind it: the first one is the picture
_GREY = ("1", "L", "LA", "La", "I;16", "I")
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
_ORIENTATION, _SIDEWAYS = 0x0112, frozenset({5, 6, 7, 8})  # of Exif 2.3, section 4.6.4


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a picture's header says.

    Attributes:
        size: (height, width) once turned upright.
        colour: whether it can hold colours.
    """

    size: tuple[int, int]
    colour: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """One picture as it was read.

    Attributes:
        pixels: uint8 of shape (height, width, channels).
        resized: it had another size.
        transparent: it had transparent pixels, whose transparency was dropped.
    """

    pixels: npt.NDArray[np.uint8]
    resized: bool
    transparent: bool


def picture_header(path: Path) -> Header:
    """Read size and colour from a picture's header; nothing is decoded."""
    with _open(path) as image:
        return Header(size=_upright_size(path, image), colour=image.mode not in _GREY)


def read_picture(
    path: Path, size: tuple[int, int], *, channels: int = 1, resize: Resize | None = None
) -> Picture:
    """Decode a picture.

    An orientation that a camera noted is applied. Colour becomes grey by ITU-R 601 luma
    (``0.299 R + 0.587 G + 0.114 B``, as Pillow rounds it), grey becomes three equal channels, a palette
    its colours, black and white 0 and 255. Transparency is dropped and the colours below it stay, as
    ``tf.io.decode_image`` and ``keras.utils.load_img`` do. A picture is resized after it was brought to
    its channels, in float32, then rounded (see `resized`, `to_uint8`).

    Args:
        path: a PNG, JPEG, BMP, WebP, PGM or PPM file, told by its content.
        size: (height, width) that it gets.
        channels: 1 or 3.
        resize: how it gets there; None refuses a picture of another size.

    Raises:
        InputError: another kind of file or size, a damaged file, more than one frame, or 16 bits a pixel.
    """
    with _open(path) as image:
        if resize is None:
            _require_size(path, _upright_size(path, image), size)
        if getattr(image, "n_frames", 1) != 1 and image.format != _FIRST_OF_MANY:
            raise bad_file(path, "one picture", "an animation", "Store its frames one by one.")
        try:
            pixels, transparent = _decoded(path, image, channels)
        except InputError:
            raise
        except _PILLOW_ERRORS as error:
            raise bad_file(path, "a sound picture", str(error) or "a damaged one", _DAMAGED) from error
    found = (pixels.shape[0], pixels.shape[1])
    if resize is None:
        _require_size(path, found, size)
    elif found != size:
        pixels = to_uint8(resized(pixels, size, resize))
    return Picture(pixels=pixels, resized=found != size, transparent=transparent)


def _require_size(path: Path, found: tuple[int, int], size: tuple[int, int]) -> None:
    if found != size:
        raise bad_file(
            path,
            f"{size[0]}x{size[1]} pixels (height x width) as in the first image",
            f"{found[0]}x{found[1]}",
            "Resize all images to one size, or give a model that has one.",
        )


def _upright_size(path: Path, image: Image) -> tuple[int, int]:
    from PIL import Image as Pillow

    try:
        exif = Pillow.Exif()  # Image.getexif would decode a PNG
        exif.load(image.info.get("exif", b""))
        turned = exif.get(_ORIENTATION) in _SIDEWAYS
    except _PILLOW_ERRORS as error:
        raise bad_file(path, "a sound picture", str(error) or "a damaged one", _DAMAGED) from error
    return (image.width, image.height) if turned else (image.height, image.width)


def _open(path: Path) -> Image:
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    if (size_bytes := regular_file_size(path)) > MAX_FILE_BYTES:
        raise bad_file(path, f"at most {MAX_FILE_BYTES:,} bytes", f"{size_bytes:,}", "Use smaller images.")
    if (canvas := _webp_canvas(path)) is not None and canvas[0] * canvas[1] > MAX_PIXELS:
        raise _too_large(path, canvas)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the size is checked below
            image = Pillow.open(path, formats=_FORMATS)
    except Pillow.DecompressionBombError as error:
        raise bad_file(path, "a small image", "a header of very many pixels", "Resize it.") from error
    except UnidentifiedImageError as error:
        found = "an empty file" if not size_bytes else "another kind of file, or a damaged one"
        raise bad_file(path, "a PNG, JPEG, BMP, WebP, PGM or PPM picture", found, _DAMAGED) from error
    except _PILLOW_ERRORS as error:
        raise bad_file(path, "a sound picture", str(error) or "a damaged one", _DAMAGED) from error
    if image.height * image.width > MAX_PIXELS:
        image.close()
        raise _too_large(path, image.size[::-1])
    return image


def _too_large(path: Path, size: tuple[int, int]) -> InputError:
    return bad_file(path, f"at most {MAX_PIXELS:,} pixels", f"{size[0]}x{size[1]}", "Use a smaller image.")


def _webp_canvas(path: Path) -> tuple[int, int] | None:
    """(height, width) by a WebP file's header; None for other files.

    Pillow allocates the whole canvas of a WebP file, twice, when it opens it, before anybody can look at
    the size. The three forms of the header are those of RFC 9649, sections 2.5 to 2.7.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(30)
    except OSError as error:
        raise bad_file(path, "a readable file", error.strerror or str(error), "Check it.") from error
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return None
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[27:30], "little"), 1 + int.from_bytes(head[24:27], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(head[28:30], "little") & 0x3FFF, int.from_bytes(head[26:28], "little") & 0x3FFF
    return None


def _decoded(path: Path, image: Image, channels: int) -> tuple[npt.NDArray[np.uint8], bool]:
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    transparent = False
    if upright.mode in _ALPHA or "transparency" in upright.info:
        rgba = upright.convert("RGBA")
        transparent = int(np.asarray(rgba.getchannel("A")).min()) < 255
        upright = rgba.convert("RGB")  # drops the alpha channel
    elif upright.mode == "P":
        upright = upright.convert("RGB")
    elif upright.mode not in _SIMPLE:
        raise bad_file(
            path,
            "8-bit grey, colour or a palette",
            f"pixels of Pillow's mode '{upright.mode}'"
            + (" (16 bits)" if upright.mode.startswith("I") else ""),
            "Convert it to 8-bit grey or colour.",
        )
    pixels = np.asarray(upright.convert("L" if channels == 1 else "RGB"), np.uint8)
    return pixels.reshape(*pixels.shape[:2], channels), transparent
