"""Where a window lies on its input: sizes, strides and TFLite's padding.

Reference: tensorflow/lite/kernels/padding.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Op, Padding


@dataclass(frozen=True, kw_only=True)
class Window:
    """A sliding window over height and width.

    Attributes:
        kernel: height and width in taps.
        strides: vertical and horizontal.
        dilations: vertical and horizontal distance between taps.
        pads: rows above and below, columns left and right.
        out: height and width of the output.
    """

    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]
    out: tuple[int, int]

    @property
    def is_padded(self) -> bool:
        """Whether any window leaves the input."""
        return any(a or b for a, b in self.pads)


def window_of(op: Op, size: Sequence[int], kernel: tuple[int, int]) -> Window:
    """The window of a convolution or a pool.

    SAME pads ``max((ceil(n / stride) - 1) * stride + reach - n, 0)`` in all, the smaller half first.

    Args:
        op: CONV_2D, DEPTHWISE_CONV_2D or a pool.
        size: height and width of its input.
        kernel: height and width in taps.
    """
    strides = (int(op.options["strideH"]), int(op.options["strideW"]))
    dilations = (int(op.options.get("dilationHFactor", 1)), int(op.options.get("dilationWFactor", 1)))
    same = op.options.get("padding", Padding.VALID) == Padding.SAME
    pads, out = [], []
    for length, stride, dilation, taps in zip(size, strides, dilations, kernel, strict=True):
        reach = (taps - 1) * dilation + 1
        count = -(-length // stride) if same else (length - reach) // stride + 1
        total = max((count - 1) * stride + reach - length, 0) if same else 0
        pads.append((total // 2, total - total // 2))
        out.append(count)
    return Window(
        kernel=kernel, strides=strides, dilations=dilations, pads=(pads[0], pads[1]), out=(out[0], out[1])
    )


def patches(values: npt.NDArray[Any], window: Window, fill: float = 0.0) -> npt.NDArray[Any]:
    """A view of every window's taps.

    Args:
        values: shape (n, H, W, C).
        window: where the windows lie.
        fill: the value of the padding.

    Returns:
        Read-only view of shape (n, out H, out W, kernel H, kernel W, C).
    """
    if window.is_padded:
        values = np.pad(values, ((0, 0), *window.pads, (0, 0)), constant_values=fill)
    reach = [(taps - 1) * d + 1 for taps, d in zip(window.kernel, window.dilations, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(values, reach, axis=(1, 2))
    (down, right), (dil_y, dil_x) = window.strides, window.dilations
    taken = view[:, ::down, ::right, :, ::dil_y, ::dil_x][:, : window.out[0], : window.out[1]]
    result: npt.NDArray[Any] = taken.transpose(0, 1, 2, 4, 5, 3)
    return result
