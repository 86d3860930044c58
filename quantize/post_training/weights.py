"""Float weights as symmetric int8."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams


def quantize_weights(
    weights: npt.NDArray[np.float32], axis: int, *, per_channel: bool, limit: int = 127
) -> tuple[npt.NDArray[np.int8], QuantParams]:
    """Quantize weights symmetrically to ``-limit..limit``, ``scale = max|w| / limit``.

    A channel of zeros takes the tensor's scale, so that its bias keeps a sensible step.

    Args:
        weights: float32, any shape.
        axis: the output channels' axis.
        per_channel: one scale a channel, else one a tensor.
        limit: 127 (narrow range), or 63 for a reduced one.

    Returns:
        int8 weights of the same shape, and their parameters.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    bound = np.abs(weights).max(axis=others) if per_channel else np.abs(weights).max(keepdims=True).reshape(1)
    whole = float(bound.max())
    scale = np.where(bound > 0, bound, whole if whole > 0 else limit) / limit
    scale = np.maximum(scale, np.finfo(np.float32).tiny)
    quant = QuantParams(
        scale=scale.astype(np.float32),
        zero_point=np.zeros(scale.shape, np.int64),
        quantized_dimension=axis if per_channel else 0,
    )
    q = quant.quantize(weights, np.int8)
    return np.clip(q, -limit, limit).astype(np.int8), quant
