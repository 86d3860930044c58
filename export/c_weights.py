"""A weighted layer's constants as generated C holds them: smaller weights, and biases that do the rest.

Exact weights are multiples of 4 and sums are 2 modulo 4, so both are divided by 4: with ``w = 4 v`` and
``b = 4 c + 2`` the output ``floor((4 A + 2 + 2**(s-1)) / 2**s)`` is ``floor((A + 2**(s-3)) / 2**(s-2))``,
where ``A`` is the sum of ``x v`` and ``c``: the half that is left over changes no floor. The input's zero
point, the rounding and the output's zero point are part of the bias. What remains of requantization is a
maximum with 0, a shift and a minimum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Op
from mnist_export.quantize.exact.arithmetic import code_range, shifts_of, zero_point

Integers = npt.NDArray[np.int64]
PIXEL: Final = 255
"""Largest activation as an unsigned byte."""
_HALF: Final = 2**15


@dataclass(frozen=True, kw_only=True, eq=False)
class Weights:
    """A layer's integers, for activations as unsigned bytes.

    Attributes:
        taps: int64 of shape (outputs, taps), divided by 4 where all allow it.
        bias: int64 of shape (outputs,): what is added to the sum of products.
        shifts: of shape (outputs,): right shifts of what results.
        zero_in: the code of the input's real 0, as an unsigned byte.
        low: smallest output byte.
        high: largest output byte.
    """

    taps: Integers
    bias: Integers
    shifts: Integers
    zero_in: int
    low: int
    high: int

    @property
    def spans(self) -> tuple[Integers, Integers]:
        """How far down and up each output's sum of products can go."""
        return PIXEL * np.minimum(self.taps, 0).sum(axis=1), PIXEL * np.maximum(self.taps, 0).sum(axis=1)

    def fits_short(self, start: int = 0, end: int | None = None) -> bool:
        """Whether each output's sum over some taps has less than 2**16 values."""
        return bool((PIXEL * np.abs(self.taps[:, start:end]).sum(axis=1) < 2 * _HALF).all())


def weights_of(graph: Graph, op: Op) -> Weights:
    """Fold a weighted layer's integers.

    Args:
        graph: exact.
        op: CONV_2D, DEPTHWISE_CONV_2D or FULLY_CONNECTED.

    Raises:
        UnsupportedError: weights that are computed at run time, a shift that is no right shift, or sums
            that 32 bits cannot hold.
    """
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    data, bias = (graph.tensors[i].data for i in op.inputs[1:3])
    if data is None or bias is None:
        raise UnsupportedError(f"C export: layer '{target.name}' computes its weights at run time.")
    taps = _rows(op, data.astype(np.int64))
    shifts, biases = shifts_of(graph, op), bias.astype(np.int64).ravel()
    if (shifts < 0).any() or (shifts > 31).any():
        raise UnsupportedError(
            f"C export: layer '{target.name}' shifts by {shifts.min()} to {shifts.max()}, expected 0 to 31."
        )
    zero_in, zero_out = zero_point(source) + 128, zero_point(target) + 128
    biases = biases - zero_in * taps.sum(axis=1)
    # The zero point's share of the sum is a multiple of 4 where the weights are.
    if not (taps % 4).any() and (biases % 4 == 2).all() and (shifts >= 3).all():
        taps, biases, shifts = taps // 4, (biases - 2) // 4, shifts - 2
    low, high = code_range(target, op.options.get("fusedActivationFunction", 0))
    rounding = np.where(shifts > 0, np.int64(1) << np.maximum(shifts - 1, 0), 0)
    biases = biases + rounding + (np.int64(zero_out) << shifts)
    idle = ~taps.any(axis=1)  # a constant output has any shift: say it with the smallest numbers
    biases = np.where(idle, np.maximum(biases, 0) >> shifts, biases)
    shifts = np.where(idle, 0, shifts)
    made = Weights(taps=taps, bias=biases, shifts=shifts, zero_in=zero_in, low=low + 128, high=high + 128)
    down, up = made.spans
    if max(int(np.abs(biases).max()), int((up + biases).max()), int(-(down + biases).min())) >= 2**31:
        raise UnsupportedError(
            f"C export: layer '{target.name}' has sums that 32 bits do not hold. Train it with smaller "
            "weights, or export it as tflite or onnx."
        )
    return made


def _rows(op: Op, data: npt.NDArray[Any]) -> Integers:
    """One row of taps an output channel."""
    if op.kind == "DEPTHWISE_CONV_2D":
        return np.ascontiguousarray(data.reshape(-1, data.shape[-1]).T)
    return data.reshape(data.shape[0], -1)


def lengthened(weights: Weights, length: int) -> Integers:
    """All taps in a row, and as many zeros that the last output's sum may run over ``length`` of them."""
    return np.pad(weights.taps.ravel(), (0, length - weights.taps.shape[1]))
