"""From raw pixels to what an input tensor takes: layout, dtype, quantization."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.pixel_rules import ChannelRule, PixelRule


def lay_out(images: npt.NDArray[Any], shape: Sequence[int], *, label: str = "model") -> npt.NDArray[Any]:
    """Bring images of shape (n, H, W, C) into a model's layout.

    (n, H, W, C), (n, C, H, W), (n, H, W) for one channel and flat (n, H*W*C) are known.

    Args:
        images: of shape (n, H, W, C), pixels or what they become.
        shape: the input tensor's shape with the batch first.
        label: the model's name for the message.

    Raises:
        InputError: the sizes do not fit.
    """
    n, height, width, channels = images.shape
    tail = tuple(shape[1:])
    if tail == (height, width, channels):
        return images
    if tail == (channels, height, width):
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    squeezed = tail == (height, width) and channels == 1
    if squeezed or tail == (math.prod(images.shape[1:]),):
        return images.reshape(n, *tail)
    raise InputError(
        f"{label}: expected images for an input of shape {tail}, found images of shape "
        f"{(height, width, channels)}. Choose the data that the model was trained on with `data`."
    )


def native_input(
    images: npt.NDArray[np.uint8],
    shape: Sequence[int],
    dtype: np.dtype[Any],
    quant: QuantParams | None,
    input_range: PixelRule,
    *,
    pixel_rule: bool,
    label: str = "model",
) -> npt.NDArray[Any]:
    """Compute a native input batch from raw pixels.

    float: ``lo + pixel * (hi - lo) / 255``, or the rule by channel. 8-bit integers of our own files:
    the pixel (uint8) or the pixel minus 128 (int8), exactly. Any other integer input: that real value
    quantized with the tensor's own parameters, ``round_half_even(real / scale) + zero_point``, saturated.

    Args:
        images: uint8 of shape (n, H, W, C).
        shape: the input tensor's shape with the batch first.
        dtype: the input tensor's type.
        quant: its parameters, None for a float input.
        input_range: what pixels become in real units.
        pixel_rule: whether the file is ours, so that integers are the pixels themselves.
        label: the model's name for messages.
    """
    by_channel = isinstance(input_range, ChannelRule)
    if dtype.kind == "f":
        if by_channel:  # channels are the last axis of the pictures, not always of the input
            real = lay_out(input_range.to_real(images), shape, label=label)
        else:
            real = input_range.to_real(lay_out(images, shape, label=label))
        return real.astype(dtype, copy=False)
    pixels = lay_out(images, shape, label=label)
    if dtype.kind not in "iu":
        raise InputError(f"{label}: expected a float or integer input, found {dtype}.")
    if pixel_rule and dtype == np.uint8:
        return np.ascontiguousarray(pixels)
    if pixel_rule and dtype == np.int8:
        return (np.ascontiguousarray(pixels) ^ np.uint8(0x80)).view(np.int8)
    if quant is None:
        if dtype == np.uint8:
            return np.ascontiguousarray(pixels)
        raise InputError(
            f"{label}: the {dtype} input has no scale and zero point, so pixels cannot be mapped to it."
        )
    if by_channel:
        return np.asarray(quant.quantize(lay_out(input_range.to_real(images), shape, label=label), dtype))
    table = quant.quantize(input_range.to_real(np.arange(256, dtype=np.uint8)), dtype)
    return np.asarray(table[pixels])
