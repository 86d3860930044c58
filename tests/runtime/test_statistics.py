"""Intervals and tests against known values and against exact enumeration."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_export.core.errors import InputError
from mnist_export.core.statistics import (
    bootstrap_interval,
    mcnemar_exact,
    percentile_interval,
    wilson_interval,
)


def test_wilson_of_known_values():
    # Brown, Cai, DasGupta 2001: 0 of 10 gives an upper end of z^2 / (n + z^2)
    low, high = wilson_interval(0, 10)
    assert low == 0.0
    assert high == pytest.approx(1.959963984540054**2 / (10 + 1.959963984540054**2))
    assert wilson_interval(10, 10) == (pytest.approx(1 - high), 1.0)
    assert wilson_interval(50, 100) == (pytest.approx(0.40383, abs=1e-5), pytest.approx(0.59617, abs=1e-5))


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportion_and_stays_within_0_and_1(case):
    successes, trials = case
    low, high = wilson_interval(successes, trials)
    assert 0 <= low <= successes / trials <= high <= 1


@pytest.mark.parametrize("case", [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses_impossible_counts(case):
    with pytest.raises(InputError):
        wilson_interval(*case)


def test_wilson_covers_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(0)
    hits = [wilson_interval(int(k), 200) for k in rng.binomial(200, 0.97, 2000)]
    covered = np.mean([low <= 0.97 <= high for low, high in hits])
    assert 0.92 < covered < 0.99


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_the_sum_over_all_outcomes(b, c):
    n = b + c
    tail = sum(Fraction(comb(n, k), 2**n) for k in range(n + 1) if abs(2 * k - n) >= abs(b - c))
    assert mcnemar_exact(b, c) == pytest.approx(float(tail), rel=1e-12)
    assert mcnemar_exact(b, c) == mcnemar_exact(c, b)


def test_mcnemar_from_logarithms_joins_the_exact_sum():
    exact = sum(comb(1100, k) for k in range(501)) / 2**1099
    assert mcnemar_exact(500, 600) == pytest.approx(exact, rel=1e-9)
    assert mcnemar_exact(5000, 5000) == 1.0
    assert mcnemar_exact(0, 100_000) < 1e-300


def test_mcnemar_without_differences_is_1():
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(0, 1) == 1.0
    assert mcnemar_exact(0, 6) == pytest.approx(2 / 64)


def test_mcnemar_raises_few_false_alarms():
    rng = np.random.default_rng(1)
    n = rng.poisson(12, 2000)
    b = rng.binomial(n, 0.5)
    alarms = np.mean([mcnemar_exact(int(x), int(m - x)) < 0.05 for x, m in zip(b, n, strict=True)])
    assert alarms <= 0.05


def test_percentile_intervals_hold_the_true_percentile():
    rng = np.random.default_rng(2)
    true = np.log(2)  # median of the exponential distribution
    covered = 0
    for seed in range(300):
        low, high = percentile_interval(rng.exponential(size=200), 50, seed=seed)
        covered += low <= true <= high
    assert covered > 300 * 0.9


def test_intervals_of_few_samples_come_from_the_bootstrap():
    samples = np.arange(10.0)
    low, high = percentile_interval(samples, 50)
    assert 0 <= low <= 4.5 <= high <= 9
    assert bootstrap_interval(samples, lambda d: d.mean(axis=-1)) == bootstrap_interval(
        samples, lambda d: d.mean(axis=-1)
    )
    with pytest.raises(InputError):
        bootstrap_interval(np.zeros(0), lambda d: d.mean(axis=-1))
