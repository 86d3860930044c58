"""The arithmetic of a convolution over blocks of neighbouring pixels.

In NHWC the elements of ``b`` neighbouring columns lie side by side, so a map (H, W, C) *is* a map
(H, W / b, b * C). A convolution over the blocks computes several columns (and rows) of outputs at once as
channels; its kernel holds the old one at every offset and zeros elsewhere (a Toeplitz matrix). Every output
is the same sum of the same products, with zeros added.

Where a kernel reaches into neighbouring blocks, most of what it spans there is zeros. Joined blocks hold
the neighbours' columns themselves: a convolution with ones and zeros copies them there, and the kernel
over blocks is one block wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Padding


@dataclass(frozen=True, kw_only=True)
class Window:
    """A convolution along one axis.

    Attributes:
        size: elements of the input along the axis.
        kernel: taps.
        stride: elements from one output to the next.
        padding: SAME or VALID.
    """

    size: int
    kernel: int
    stride: int
    padding: Padding

    @property
    def outputs(self) -> int:
        """Outputs along the axis."""
        if self.padding == Padding.SAME:
            return -(-self.size // self.stride)
        return (self.size - self.kernel) // self.stride + 1

    @property
    def before(self) -> int:
        """Padding before the first element; SAME puts the smaller half first."""
        if self.padding == Padding.VALID:
            return 0
        return max((self.outputs - 1) * self.stride + self.kernel - self.size, 0) // 2


@dataclass(frozen=True, kw_only=True)
class AxisPlan:
    """How one axis is blocked.

    Attributes:
        count: outputs computed at once.
        block: input elements that lie in one block (1 where the input is not blocked).
        window: the convolution over the blocks.
        shift: where tap 0 of output 0 lies in the new kernel's span, in elements.
    """

    count: int
    block: int
    window: Window
    shift: int


def plan_width(old: Window, count: int) -> AxisPlan | None:
    """Block the columns: ``count`` outputs share a block of ``count * stride`` inputs.

    Returns:
        The plan, or None where the columns do not divide or TFLite's padding cannot be met.
    """
    block = count * old.stride
    if old.size % block or old.outputs % count:
        return None
    lead = -(-old.before // block)
    reach = lead * block - old.before + (count - 1) * old.stride + old.kernel
    needed = -(-reach // block)
    for extra in range(2 * needed + 2):
        for padding in (old.padding, Padding.SAME):
            window = Window(size=old.size // block, kernel=needed + extra, stride=1, padding=padding)
            fits = window.before >= lead and window.kernel - window.before >= needed - lead
            if fits and window.outputs == old.outputs // count:
                return AxisPlan(
                    count=count, block=block, window=window, shift=window.before * block - old.before
                )
    return None


def plan_gathered(columns: AxisPlan, old: Window, channels: int) -> AxisPlan:
    """Blocks that hold all columns that their outputs reach, neighbours' included, so that one is enough.

    Args:
        columns: the plan without gathering; its window is the one that gathers.
        old: the convolution along the axis.
        channels: of the input; blocks are filled up to eight channels where they divide eight.
    """
    reach = (columns.count - 1) * old.stride + old.kernel
    if 8 % channels == 0:
        reach = -(-reach * channels // 8) * 8 // channels
    window = Window(size=columns.window.outputs, kernel=1, stride=1, padding=columns.window.padding)
    return AxisPlan(count=columns.count, block=reach, window=window, shift=0)


def gathering(columns: AxisPlan, reach: int, channels: int) -> npt.NDArray[np.int8]:
    """The kernel of ones and zeros that joins each block with the columns around it.

    Args:
        columns: plan of the width.
        reach: columns that a joined block holds.
        channels: of the input.

    Returns:
        Shape (reach * channels, 1, KB, block * channels); rows past the kernel's span are zero.
    """
    span = columns.window.kernel * columns.block
    made = np.zeros((reach, channels, span, channels), np.int8)
    for column in range(min(reach, span - columns.shift)):
        made[column, :, columns.shift + column, :] = np.eye(channels, dtype=np.int8)
    return made.reshape(reach * channels, 1, columns.window.kernel, columns.block * channels)


def plan_height(old: Window, count: int) -> AxisPlan | None:
    """Compute ``count`` rows at once by a taller kernel and a longer stride over the rows as they are."""
    if old.outputs % count:
        return None
    reach = (count - 1) * old.stride + old.kernel
    for extra in range(2 * old.kernel):
        window = Window(size=old.size, kernel=reach + extra, stride=count * old.stride, padding=old.padding)
        shift = window.before - old.before
        if window.outputs == old.outputs // count and shift >= 0 and shift + reach <= window.kernel:
            return AxisPlan(count=count, block=1, window=window, shift=shift)
    return None


def toeplitz(
    weights: npt.NDArray[np.int8], rows: AxisPlan, columns: AxisPlan, strides: tuple[int, int], pool: int
) -> npt.NDArray[np.int8]:
    """The kernel over blocks.

    Args:
        weights: shape (O, kh, kw, I).
        rows: plan of the height.
        columns: plan of the width.
        strides: of the old convolution, (height, width).
        pool: columns that a pool takes together; their outputs come in groups of channels of their own.

    Returns:
        Shape (rows.count * columns.count * O, KH, KB, block * I). Output channels run over (row, column
        within the pool, pool within the block, O), slowest first.
    """
    outputs, height, width, inputs = weights.shape
    groups = columns.count // pool
    span = columns.window.kernel * columns.block
    made = np.zeros((rows.count, pool, groups, outputs, rows.window.kernel, span, inputs), weights.dtype)
    for row in range(rows.count):
        top = rows.shift + row * strides[0]
        for column in range(columns.count):
            left = columns.shift + column * strides[1]
            made[row, column % pool, column // pool, :, top : top + height, left : left + width] = weights
    return made.reshape(
        rows.count * columns.count * outputs,
        rows.window.kernel,
        columns.window.kernel,
        columns.block * inputs,
    )
