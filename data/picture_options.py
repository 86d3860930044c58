"""How a folder of pictures is read: in how many channels, at which size, and how it is brought there."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from mnist_export.core.errors import InputError
from mnist_export.core.registry import unknown_name

if sys.version_info >= (3, 11):
    from enum import StrEnum
else:
    from backports.strenum import StrEnum


class Resize(StrEnum):
    """How a picture is brought to the size that the model takes.

    Each is the way of Keras of that name: ``bilinear`` is what ``image_dataset_from_directory`` does by
    default, ``crop`` its ``crop_to_aspect_ratio`` and ``pad`` its ``pad_to_aspect_ratio`` (with black).
    """

    BILINEAR = "bilinear"
    AREA = "area"
    NEAREST = "nearest"
    CROP = "crop"
    PAD = "pad"

    @classmethod
    def parse(cls, text: str) -> Resize:
        """Read what a user wrote, or raise `InputError` that lists the names."""
        if text not in set(cls):
            raise unknown_name("`resize` way", text, cls)
        return cls(text)


@dataclass(frozen=True, kw_only=True)
class PictureOptions:
    """What pictures become.

    Attributes:
        channels: 1 for grey, 3 for colour; None: 3 where any picture's header says colour, else 1.
        size: (height, width) of every image; None keeps the pictures' own, which then has to be one.
        resize: how a picture of another size is brought to ``size``.
    """

    channels: int | None = None
    size: tuple[int, int] | None = None
    resize: Resize = Resize.BILINEAR

    def __post_init__(self) -> None:
        """Refuse channels and sizes that no picture can have."""
        if self.channels not in {None, 1, 3}:
            raise InputError(
                f"pictures: expected 1 or 3 channels, found {self.channels}. Use a model of grey or colour."
            )
        if self.size is not None and not all(1 <= side <= 4096 for side in self.size):
            raise InputError(
                f"pictures: expected sides of 1 to 4096 pixels, found {self.size[0]}x{self.size[1]}. "
                "Use a model of a smaller input."
            )


def pictures_for(
    input_shape: Sequence[int | None] | None, resize: Resize = Resize.BILINEAR
) -> PictureOptions:
    """Choose the channels and the size that a model takes.

    Args:
        input_shape: without the batch: (height, width, channels), (channels, height, width),
            (height, width), or (pixels,) of a square picture; None where no model says.
        resize: how pictures are brought there.

    Returns:
        The options; what the shape leaves open stays as the pictures have it.
    """
    shape = tuple(input_shape or ())
    if len(shape) == 3 and shape[0] in {1, 3} and shape[2] not in {1, 3}:
        shape = (*shape[1:], shape[0])
    elif len(shape) == 2:
        shape = (*shape, 1)
    elif len(shape) == 1 and shape[0]:
        shape = _square(shape[0])
    if len(shape) != 3 or shape[2] not in {1, 3}:
        return PictureOptions(resize=resize)
    height, width, channels = shape
    size = None
    if height is not None and width is not None and height > 0 and width > 0:
        size = (height, width)
    return PictureOptions(channels=channels, size=size, resize=resize)


def _square(pixels: int) -> tuple[int, ...]:
    for channels in (1, 3):
        side = math.isqrt(pixels // channels)
        if side * side * channels == pixels:
            return side, side, channels
    return ()
