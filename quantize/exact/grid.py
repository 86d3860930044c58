"""The grid on which no rounding rule can matter, and the arithmetic behind it.

Let ``a`` be a layer's int32 accumulator, bias included, and let every scale be a power of two, so that the
output code is ``a / 2**s`` rounded. Kernels round that quotient differently only where

* it is a tie, ``a mod 2**s == 2**(s - 1)`` (half to even against half away from zero), or
* two roundings in a row meet one, ``a mod 2**s == 2**(s - 1) - 1`` (a halving, then a shift by ``s - 1``).

For ``s >= 3`` the first residue is 0 and the second is 3 modulo 4. Weights that are multiples of 4 and biases
that are 2 modulo 4 keep every accumulator at 2 modulo 4, so neither occurs. A float32 kernel converts ``a``
exactly while ``abs(a) <= 2**24``; beyond that and for ``s <= 16`` the output has saturated either way.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

WEIGHT_STEP: Final = 4
WEIGHT_LIMIT: Final = 124
REDUCED_LIMIT: Final = 64
"""Two products of a uint8 and a weight within this bound fit 16 signed bits (255 * 128 < 2**15)."""
BIAS_RESIDUE: Final = 2
MIN_SHIFT: Final = 3
MAX_SATURATED_SHIFT: Final = 16
"""Up to this shift an accumulator beyond 2**24 saturates an 8-bit output."""
MAX_SHIFT: Final = 30
FLOAT32_INTEGERS: Final = 2**24
FLOAT32_EVEN_INTEGERS: Final = 2**25
"""Every partial sum of a layer on the grid is even, so float32 holds it exactly up to here."""
BIAS_LIMIT: Final = 2**30


def exponent_of(scale: float) -> int | None:
    """The integer ``e`` with ``scale == 2**e``, or None where there is none.

    Args:
        scale: a float32 value, read as it is stored.
    """
    mantissa, exponent = np.frexp(np.float64(scale))
    return int(exponent) - 1 if mantissa == 0.5 else None


def snap_weights(steps: npt.ArrayLike, limit: int = WEIGHT_LIMIT) -> npt.NDArray[np.int8]:
    """The nearest multiples of 4 within ``-limit..limit``, ties to the even multiple.

    Args:
        steps: weights in units of their scale, any shape.
        limit: a multiple of 4.
    """
    bound = limit // WEIGHT_STEP
    quarter = np.clip(np.rint(np.asarray(steps, np.float64) / WEIGHT_STEP), -bound, bound)
    return (quarter * WEIGHT_STEP).astype(np.int8)


def snap_bias(steps: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """The nearest integers that are 2 modulo 4, within ``BIAS_LIMIT``.

    Args:
        steps: biases in units of input scale times weight scale.
    """
    bound = BIAS_LIMIT // WEIGHT_STEP
    quarter = np.rint((np.asarray(steps, np.float64) - BIAS_RESIDUE) / WEIGHT_STEP)
    return (np.clip(quarter, -bound, bound - 1) * WEIGHT_STEP + BIAS_RESIDUE).astype(np.int32)


def accumulator_bounds(
    weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32], lo: int, hi: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Least and greatest accumulator that any input can cause, and any partial sum on the way.

    Args:
        weights: int8 of shape (channels, products).
        bias: int32 of shape (channels,).
        lo: smallest input code minus its zero point, at most 0.
        hi: largest input code minus its zero point, at least 0.

    Returns:
        Two int64 arrays of shape (channels,). Each product's own extremes enclose 0, so that sums of any
        part of the products, in any order, stay within the bounds too.
    """
    wide = weights.astype(np.int64)
    positive, negative = np.maximum(wide, 0).sum(axis=1), np.minimum(wide, 0).sum(axis=1)
    first = np.minimum(bias.astype(np.int64), 0)
    last = np.maximum(bias.astype(np.int64), 0)
    return positive * lo + negative * hi + first, positive * hi + negative * lo + last
