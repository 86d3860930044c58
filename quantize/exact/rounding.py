"""Rounds a layer's weights to the grid so that its outputs, not its weights, stay where they were.

First the real weights are moved, by regularized least squares, to what best reproduces the float layer's
outputs from the inputs that the quantized layers before it give. Then columns are rounded one after another,
and each one's error is spread over those still to come, as second-order pruning does.

References: Hassibi and Stork, "Second order derivatives for network pruning: optimal brain surgeon", NIPS
1992; Frantar et al., "OPTQ: accurate quantization for generative pre-trained transformers", ICLR 2023;
Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004 (shrinkage).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.quantize.exact.grid import WEIGHT_LIMIT, snap_weights

Array = npt.NDArray[np.float64]
DAMPING = 1e-3
"""Share of the mean diagonal added to it: inputs that never vary still need a curvature."""
BLOCK = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerStatistics:
    """Second moments of a layer's inputs, centred; one set, or one a channel for depthwise layers.

    Attributes:
        curvature: shape (sets, k, k), shrunk and damped, positive definite: of the quantized inputs.
        shift: shape (sets, k, k): covariance of quantized with float inputs minus that of the quantized.
        mean_float: shape (sets, k): mean float input.
        mean_quantized: shape (sets, k).
    """

    curvature: Array
    shift: Array
    mean_float: Array
    mean_quantized: Array


def statistics(floats: npt.NDArray[np.float32], quantized: npt.NDArray[np.float32]) -> LayerStatistics:
    """Gather a layer's statistics.

    Args:
        floats: float inputs, shape (rows, sets, k), real units.
        quantized: the same rows as the quantized network has them.

    Returns:
        Statistics whose covariances are shrunk towards their diagonal by ``k / (k + rows)``, so that few
        images cannot bend many weights.
    """
    rows, _, size = floats.shape
    mean_float, mean_quantized = (
        floats.mean(axis=0, dtype=np.float64),
        quantized.mean(axis=0, dtype=np.float64),
    )
    centred = np.ascontiguousarray((quantized - mean_quantized.astype(np.float32)).transpose(1, 2, 0))
    other = np.ascontiguousarray((floats - mean_float.astype(np.float32)).transpose(1, 0, 2))
    own = (centred @ centred.transpose(0, 2, 1)).astype(np.float64) / rows
    cross = (centred @ other).astype(np.float64) / rows
    keep = rows / (rows + size)
    diagonal = np.einsum("skk->sk", own)
    damping = DAMPING * diagonal.mean(axis=1, keepdims=True) + 1e-12
    curvature = keep * own
    index = np.arange(size)
    curvature[:, index, index] = diagonal + damping
    return LayerStatistics(
        curvature=curvature,
        shift=keep * (cross - own),
        mean_float=mean_float,
        mean_quantized=mean_quantized,
    )


class LayerRounder:
    """Rounds one layer's weights at any scale; what does not depend on the scale is computed once."""

    def __init__(self, weights: Array, stats: LayerStatistics) -> None:
        """Move the weights to their least-squares values and factor the inverse curvature.

        Args:
            weights: shape (channels, k), real units.
            stats: the layer's statistics.
        """
        repeat = len(weights) // len(stats.curvature) if len(stats.curvature) > 1 else 0
        self._sets = np.repeat(np.arange(len(stats.curvature)), repeat) if repeat else np.zeros(1, np.int64)
        inverse = np.linalg.inv(stats.curvature)
        inverse = (inverse + inverse.transpose(0, 2, 1)) / 2
        moved = self._apply(stats.shift, weights)
        self._stats = stats
        self._float = weights
        self.target = weights + self._apply(inverse, moved)
        # Most important input first: its error can still be made good by all others.
        self._order = np.argsort(-np.einsum("skk->sk", stats.curvature), axis=1, kind="stable")
        ordered = np.stack([m[np.ix_(o, o)] for m, o in zip(inverse, self._order, strict=True)])
        self._upper = np.linalg.cholesky(ordered).transpose(0, 2, 1)

    def _apply(self, matrices: Array, weights: Array) -> Array:
        """Each channel's row times its set's matrix (transposed)."""
        if len(matrices) == 1:
            shared: Array = weights @ matrices[0].T
            return shared
        result: Array = np.einsum("okj,oj->ok", matrices[self._sets], weights)
        return result

    def round(self, step: Array, limit: int = WEIGHT_LIMIT) -> npt.NDArray[np.int8]:
        """Round with the error fed back.

        Args:
            step: each channel's weight scale, shape (channels,).
            limit: largest magnitude in steps.

        Returns:
            int8 of shape (channels, k), multiples of 4.
        """
        channels, size = self.target.shape
        order = np.broadcast_to(self._order[self._sets], (channels, size))
        rows = np.arange(channels)[:, None]
        work = (self.target / step[:, None])[rows, order].copy()
        result = np.zeros((channels, size), np.int8)
        shared = len(self._upper) == 1
        for start in range(0, size, BLOCK):
            end = min(start + BLOCK, size)
            errors = np.zeros((channels, end - start))
            for j in range(start, end):
                result[:, j] = snap_weights(work[:, j], limit)
                upper = self._upper[0, j] if shared else self._upper[self._sets, j]
                errors[:, j - start] = (work[:, j] - result[:, j]) / upper[..., j]
                spread = upper[None, j + 1 : end] if shared else upper[:, j + 1 : end]
                work[:, j + 1 : end] -= errors[:, j - start, None] * spread
            if end < size:
                if shared:
                    work[:, end:] -= errors @ self._upper[0, start:end, end:]
                else:
                    work[:, end:] -= np.einsum("oj,ojk->ok", errors, self._upper[self._sets, start:end, end:])
        back = np.empty_like(result)
        np.put_along_axis(back, order, result, axis=1)
        return back

    def error(self, codes: npt.NDArray[np.int8], step: Array) -> Array:
        """Mean square error that rounding causes at each channel's output, real units: shape (channels,)."""
        delta = self.target - codes * step[:, None]
        result: Array = np.einsum("ok,ok->o", delta, self._apply(self._stats.curvature, delta))
        return result

    def bias(self, bias: Array, codes: npt.NDArray[np.int8], step: Array) -> Array:
        """The bias that leaves each channel's mean output where it was: shape (channels,).

        Reference: Nagel et al., "Data-free quantization through weight equalization and bias correction",
        2019.
        """
        wanted = (self._float * self._stats.mean_float[self._sets]).sum(axis=1) + bias
        given = (codes * step[:, None] * self._stats.mean_quantized[self._sets]).sum(axis=1)
        result: Array = wanted - given
        return result


def spread_average(size: int) -> tuple[npt.NDArray[np.int8], int]:
    """Weights of an average over ``size`` taps that sum to exactly one.

    The sum is the largest power of two that the limit of a weight allows; where it is no multiple of
    ``4 * size``, some taps weigh 4 more than others.

    Args:
        size: number of taps.

    Returns:
        int8 weights of shape (size,), and ``e`` of their scale ``2**e``.
    """
    exponent = int(np.floor(np.log2(WEIGHT_LIMIT * size)))
    quarters = 2 ** (exponent - 2)
    counts = np.full(size, quarters // size)
    extra = quarters % size
    counts[(np.arange(extra) * size) // max(extra, 1)] += 1
    return (counts * 4).astype(np.int8), -exponent
