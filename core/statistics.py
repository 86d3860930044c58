"""The interval that every reported proportion carries."""

from __future__ import annotations

import math

from mnist_export.core.errors import InputError

Z_95 = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


def wilson_interval(successes: int, trials: int, *, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of a proportion.

    ``(p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)`` with ``p = successes / n``.
    Reference: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927.

    Args:
        successes: how often it held.
        trials: how often it was tried, at least 1.
        z: standard normal quantile; the default gives 95 %.

    Returns:
        Lower and upper end, fractions of 1.

    Raises:
        InputError: no trials, or successes outside of 0..trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError(f"interval: expected 0 <= successes <= trials, found {successes} of {trials}.")
    p, spread = successes / trials, z * z / trials
    center = p + spread / 2
    half = z * math.sqrt(p * (1 - p) / trials + spread / (4 * trials))
    low = 0.0 if successes == 0 else (center - half) / (1 + spread)
    high = 1.0 if successes == trials else (center + half) / (1 + spread)
    return max(0.0, low), min(1.0, high)
