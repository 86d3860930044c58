"""Brings a picture to another size exactly as TensorFlow and Keras do, in numpy.

Everything is computed in float32 on pixels 0..255 without antialiasing (area apart, which averages), in the
order of TensorFlow's CPU kernels; positions are those of ``half_pixel_centers``. `to_uint8` then rounds to
the nearest whole number, halves to the even one. Keras hands the float values on: an image here differs from
Keras's by half a level at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.data.picture_options import Resize

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[np.float32]
Size = tuple[int, int]


def resized(image: Pixels, size: Size, how: Resize) -> Values:
    """Resize one picture.

    Args:
        image: uint8 of shape (height, width, channels).
        size: (height, width) of the result.
        how: the way.

    Returns:
        float32 of shape (*size, channels), 0..255.
    """
    return _WAYS[how](image, size)


def to_uint8(values: Values) -> Pixels:
    """Round to whole pixel values, halves to the even one."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _positions(found: int, wanted: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Values]:
    """Lower and upper neighbour of each position of the result, and the share of the upper one."""
    half = np.float32(0.5)
    scale = np.float32(found) / np.float32(wanted)
    exact = (np.arange(wanted, dtype=np.float32) + half) * scale - half
    floor = np.floor(exact)
    lower = np.maximum(floor.astype(np.int64), 0)
    upper = np.minimum(np.ceil(exact).astype(np.int64), found - 1)
    return lower, upper, (exact - floor).astype(np.float32)


def _bilinear(image: Pixels, size: Size) -> Values:
    """``tf.image.resize(image, size, "bilinear")``."""
    top_rows, bottom_rows, down = _positions(image.shape[0], size[0])
    left, right, along = _positions(image.shape[1], size[1])
    across = along[None, :, None]

    def row(rows: npt.NDArray[np.int64]) -> Values:
        first = image[np.ix_(rows, left)].astype(np.float32)
        second = image[np.ix_(rows, right)].astype(np.float32)
        return first + (second - first) * across

    top = row(top_rows)
    result: Values = top + (row(bottom_rows) - top) * down[:, None, None]
    return result


def _nearest(image: Pixels, size: Size) -> Values:
    """``tf.image.resize(image, size, "nearest")``."""

    def chosen(found: int, wanted: int) -> npt.NDArray[np.int64]:
        scale = np.float32(found) / np.float32(wanted)
        exact = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * scale
        places: npt.NDArray[np.int64] = np.minimum(np.floor(exact).astype(np.int64), found - 1)
        return places

    rows, columns = chosen(image.shape[0], size[0]), chosen(image.shape[1], size[1])
    return image[np.ix_(rows, columns)].astype(np.float32)


def _area(image: Pixels, size: Size) -> Values:
    """``tf.image.resize(image, size, "area")``: the mean over what each pixel covers, summed in float64."""
    height, width, channels = image.shape
    columns = [_cover(width, size[1], place) for place in range(size[1])]
    result = np.empty((*size, channels), np.float32)
    for place in range(size[0]):  # a band of rows at a time: the picture is never whole in float
        low, weights = _cover(height, size[0], place)
        band = image[low : low + len(weights)].reshape(len(weights), -1).astype(np.float64)
        line = (weights @ band).reshape(width, channels)
        for column, (left, shares) in enumerate(columns):
            result[place, column] = shares @ line[left : left + len(shares)]
    return result


def _cover(found: int, wanted: int, place: int) -> tuple[int, npt.NDArray[np.float64]]:
    scale = found / wanted
    start, end = place * scale, min((place + 1) * scale, float(found))
    low, high = math.floor(start), min(math.ceil(end), found)
    cells = np.arange(low, high, dtype=np.float64)
    shares = np.minimum(cells + 1, end) - np.maximum(cells, start)
    return low, shares / shares.sum()


def _crop(image: Pixels, size: Size) -> Values:
    """``keras.utils.image_utils.smart_resize``: the largest middle part of that aspect, then bilinear."""
    height, width = image.shape[:2]
    crop_height = max(1, min(height, int(np.float32(width * size[0]) / np.float32(size[1]))))
    crop_width = max(1, min(width, int(np.float32(height * size[1]) / np.float32(size[0]))))
    top, left = (height - crop_height) // 2, (width - crop_width) // 2
    return _bilinear(image[top : top + crop_height, left : left + crop_width], size)


def _pad(image: Pixels, size: Size) -> Values:
    """``tf.image.resize_with_pad``: bilinear to the largest size that fits, in the middle of black."""
    height, width = image.shape[:2]
    ratio = max(width / size[1], height / size[0])
    inner = max(1, math.floor(height / ratio)), max(1, math.floor(width / ratio))
    top = max(0, math.floor((size[0] - height / ratio) / 2))
    left = max(0, math.floor((size[1] - width / ratio) / 2))
    result = np.zeros((*size, image.shape[2]), np.float32)
    result[top : top + inner[0], left : left + inner[1]] = _bilinear(image, inner)
    return result


_WAYS: dict[Resize, Callable[[Any, Size], Values]] = {
    Resize.BILINEAR: _bilinear,
    Resize.AREA: _area,
    Resize.NEAREST: _nearest,
    Resize.CROP: _crop,
    Resize.PAD: _pad,
}
