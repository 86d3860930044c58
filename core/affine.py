"""Affine quantization: ``real = scale * (q - zero_point)``; a scale is real units per step.

Reference: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, and the TFLite 8-bit quantization specification.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantParams:
    """Scale and zero point of one tensor, per tensor or per channel.

    Attributes:
        scale: float32 of shape (1,) or (channels,), real units per step, finite and positive.
        zero_point: int64 of the same shape.
        quantized_dimension: the axis that a per-channel scale runs along.
    """

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    quantized_dimension: int = 0

    def __post_init__(self) -> None:
        """Check shapes and values."""
        if self.scale.ndim != 1 or self.scale.shape != self.zero_point.shape or not self.scale.size:
            raise InputError(
                f"quantization parameters: expected scales and zero points of one shape (n,), "
                f"found {self.scale.shape} and {self.zero_point.shape}."
            )
        if not np.all(np.isfinite(self.scale)) or np.any(self.scale <= 0):
            raise InputError("quantization parameters: expected finite positive scales, found others.")

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int = 0) -> QuantParams:
        """One scale (real units per step) and one zero point for the whole tensor."""
        return cls(scale=np.array([scale], np.float32), zero_point=np.array([zero_point], np.int64))

    @classmethod
    def per_channel(cls, scale: npt.ArrayLike, quantized_dimension: int) -> QuantParams:
        """One scale a channel along ``quantized_dimension``, all zero points 0."""
        values = np.asarray(scale, np.float32)
        return cls(
            scale=values,
            zero_point=np.zeros(values.shape, np.int64),
            quantized_dimension=quantized_dimension,
        )

    @property
    def is_per_channel(self) -> bool:
        """Whether there is more than one scale."""
        return self.scale.size > 1

    def _broadcast(self, ndim: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        if not self.is_per_channel:
            return self.scale.reshape(()), self.zero_point.reshape(())
        shape = [1] * ndim
        shape[self.quantized_dimension] = self.scale.size
        return self.scale.reshape(shape), self.zero_point.reshape(shape)

    def quantize(self, real: npt.ArrayLike, dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
        """Compute ``clip(round_half_even(real / scale) + zero_point)`` in ``dtype``'s range.

        Args:
            real: array of any shape, real units.
            dtype: an integer dtype.

        Returns:
            An array of ``real``'s shape and the given dtype.
        """
        values = np.asarray(real, np.float64)
        scale, zero_point = self._broadcast(values.ndim)
        info = np.iinfo(np.dtype(dtype))
        q = np.rint(values / scale.astype(np.float64)) + zero_point
        return np.clip(q, info.min, info.max).astype(dtype)

    def dequantize(self, q: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
        """Compute ``scale * (q - zero_point)`` in float32; the shape is ``q``'s."""
        scale, zero_point = self._broadcast(q.ndim)
        return (scale * (q.astype(np.int64) - zero_point).astype(np.float32)).astype(np.float32)


def asymmetric(lo: float, hi: float, dtype: npt.DTypeLike) -> QuantParams:
    """Scale and zero point that cover ``[lo, hi]`` and hold real 0 exactly.

    The scale is ``(hi - lo) / (qmax - qmin)`` after the range was widened to hold 0; the zero
    point is ``qmin - lo / scale`` rounded to the nearest integer (TFLite's nudging). A range of
    zero width gets scale 1.

    Args:
        lo: smallest real value, finite.
        hi: largest real value, finite.
        dtype: int8, uint8 or int16.
    """
    if not (np.isfinite(lo) and np.isfinite(hi)) or lo > hi:
        raise InputError(f"quantization range: expected finite lo <= hi, found [{lo}, {hi}].")
    info = np.iinfo(np.dtype(dtype))
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    if hi == lo:
        return QuantParams.per_tensor(1.0, info.min if np.dtype(dtype).kind == "u" else 0)
    # float32 has no smaller normal number; a scale of 0 would divide by zero.
    scale = max((hi - lo) / (info.max - info.min), float(np.finfo(np.float32).tiny))
    zero_point = int(np.clip(np.rint(info.min - lo / scale), info.min, info.max))
    return QuantParams.per_tensor(scale, zero_point)
