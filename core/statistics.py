"""Intervals and tests for proportions and paired answers, exact and without scipy."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

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


def mcnemar_exact(only_reference: int, only_candidate: int) -> float:
    """McNemar's exact test: are the answers that only one side has right split like a fair coin?

    Two-sided: ``min(1, 2 * P(X <= min(b, c)))`` with ``X ~ Binomial(b + c, 1/2)``, summed from exact
    integers up to 1,000 discordant pairs and from logarithms of the gamma function above.
    Reference: McNemar, "Note on the sampling error of the difference between correlated proportions", 1947.

    Args:
        only_reference: images that only the reference has right (b).
        only_candidate: images that only the candidate has right (c).

    Returns:
        The p-value; 1 where no answers differ.
    """
    if only_reference < 0 or only_candidate < 0:
        raise InputError(f"McNemar: expected counts of at least 0, found {only_reference}, {only_candidate}.")
    n, smaller = only_reference + only_candidate, min(only_reference, only_candidate)
    if n == 0:
        return 1.0
    if n <= 1000:
        tail = sum(math.comb(n, k) for k in range(smaller + 1))
        # 2 * tail / 2**n as an exact quotient of integers
        return min(1.0, tail / (1 << (n - 1)))
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) - n * math.log(2)
        for k in range(smaller + 1)
    ]
    peak = max(logs)
    return min(1.0, 2.0 * math.exp(peak) * math.fsum(math.exp(value - peak) for value in logs))


def bootstrap_interval(
    samples: npt.NDArray[Any],
    statistic: Callable[[npt.NDArray[Any]], npt.NDArray[Any]],
    *,
    resamples: int = 200,
    seed: int = 0,
    most: int = 2000,
) -> tuple[float, float]:
    """The bootstrap percentile interval, 95 %, of a statistic.

    Args:
        samples: shape (n,).
        statistic: maps (resamples, n) to (resamples,), along the last axis.
        resamples: how often to draw.
        seed: of the generator.
        most: with more samples than this, every k-th is used; the interval is then a little wide.

    Returns:
        The 2.5 % and 97.5 % percentiles of the resampled statistic.
    """
    if not len(samples):
        raise InputError("bootstrap: expected at least one sample, found none.")
    used = samples[:: max(1, math.ceil(len(samples) / most))]
    draws = np.random.default_rng(seed).integers(0, len(used), (resamples, len(used)))
    low, high = np.percentile(statistic(used[draws]), [2.5, 97.5])
    return float(low), float(high)


def percentile_interval(
    samples: npt.NDArray[Any], percentile: float, *, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of a percentile of all samples, from order statistics.

    The number of samples below the percentile is Binomial(n, q), whose normal approximation gives the two
    ranks; unlike resampling this costs one sort and is right in the tails. For fewer than 50 samples the
    bootstrap is used.

    Args:
        samples: shape (n,).
        percentile: 0 to 100.
        seed: of the bootstrap.
    """
    n, q = len(samples), percentile / 100
    if n < 50:
        return bootstrap_interval(samples, lambda draws: np.percentile(draws, percentile, axis=-1), seed=seed)
    half = Z_95 * math.sqrt(n * q * (1 - q))
    ordered = np.sort(samples)
    low = ordered[max(0, math.floor(n * q - half) - 1)]
    high = ordered[min(n - 1, math.ceil(n * q + half))]
    return float(low), float(high)
