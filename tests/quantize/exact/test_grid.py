"""The arithmetic that the scheme rests on, over every accumulator within reach of small shifts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_export.quantize.exact.grid import (
    MAX_SATURATED_SHIFT,
    accumulator_bounds,
    exponent_of,
    snap_bias,
    snap_weights,
)


def half_even_in_float32(a, s):
    """XNNPACK and ONNX Runtime: convert, multiply, round half to even."""
    return np.rint(a.astype(np.float32) * np.float32(2.0**-s)).astype(np.int64)


def half_away(a, s):
    """One rounding, ties away from zero."""
    return np.sign(a) * ((np.abs(a) + (1 << (s - 1))) >> s)


def half_up(a, s):
    """One rounding, ties upwards: a shift."""
    return (a + (1 << (s - 1))) >> s


def twice_rounded(a, s):
    """A doubling high multiply by 2**30, then a rounding shift by s - 1, each with its own ties."""
    product = a * (1 << 30)
    nudge = np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    total = product + nudge
    high = np.sign(total) * (np.abs(total) >> 31)  # C's division truncates
    mask = (1 << (s - 1)) - 1
    threshold = (mask >> 1) + (high < 0)
    return (high >> (s - 1)) + ((high & mask) > threshold)


RULES = (half_even_in_float32, half_away, half_up, twice_rounded)


def accumulators(s):
    return np.arange(-(1 << (s + 9)), 1 << (s + 9), dtype=np.int64)


@pytest.mark.parametrize("s", range(3, 11))
def test_every_rounding_rule_agrees_on_accumulators_that_are_2_mod_4(s):
    a = accumulators(s)
    a = a[a % 4 == 2]
    expected = half_up(a, s)
    for rule in RULES:
        np.testing.assert_array_equal(rule(a, s), expected, err_msg=rule.__name__)


@pytest.mark.parametrize("residue", [0, 1, 3])
def test_of_the_other_residues_only_1_would_do(residue):
    a = accumulators(4)
    a = a[a % 4 == residue]
    answers = {rule.__name__: rule(a, 4) for rule in RULES}
    same = all(np.array_equal(value, answers["half_up"]) for value in answers.values())
    # 1 mod 4 would do as well; 2 mod 4 is even, so that float32 holds partial sums of one bit more.
    assert same == (residue == 1)


def test_a_shift_below_3_is_not_enough():
    a = accumulators(2)
    a = a[a % 4 == 2]
    assert not np.array_equal(half_even_in_float32(a, 2), half_away(a, 2))


@pytest.mark.parametrize("s", range(3, MAX_SATURATED_SHIFT + 1))
def test_beyond_24_bits_an_8_bit_output_has_saturated(s):
    edge = np.arange(2**24, 2**24 + 4096, dtype=np.int64)
    a = np.concatenate([edge, -edge, np.array([2**31 - 2, -(2**31) + 2])])
    a = a - a % 4 + 2
    for rule in RULES[:3]:
        assert np.all(np.abs(rule(a, s)) >= 255), rule.__name__


def test_a_larger_shift_beyond_24_bits_is_not_exact():
    a = np.arange(2**25, 2**25 + (1 << 18), dtype=np.int64)
    a = a[a % 4 == 2]
    assert not np.array_equal(half_even_in_float32(a, 17), half_up(a, 17))


@given(st.lists(st.floats(-300, 300), min_size=1, max_size=50))
@settings(deadline=None)
def test_snapped_weights_are_the_nearest_multiples_of_4_within_the_limit(values):
    snapped = snap_weights(values)
    assert np.all(snapped % 4 == 0)
    assert np.abs(snapped).max() <= 124
    inside = np.abs(values) <= 124
    assert np.all(np.abs(snapped - np.array(values))[inside] <= 2)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50))
@settings(deadline=None)
def test_snapped_biases_are_the_nearest_integers_that_are_2_mod_4(values):
    snapped = snap_bias(values)
    assert np.all(snapped % 4 == 2)
    assert np.all(np.abs(snapped - np.array(values)) <= 2 + 1e-6)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_bounds_hold_for_every_partial_sum_and_are_reached(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    point = data.draw(st.integers(-128, 127))
    weights = snap_weights(rng.uniform(-124, 124, (4, 6)))
    bias = snap_bias(rng.uniform(-5000, 5000, 4))
    lo, hi = accumulator_bounds(weights, bias, -128 - point, 127 - point)
    codes = rng.integers(-128, 128, (200, 6)) - point
    products = codes[:, None, :] * weights[None].astype(np.int64)
    sums = products.cumsum(axis=2)
    assert np.all(sums + np.minimum(bias, 0)[:, None] >= lo[:, None])
    assert np.all(sums + np.maximum(bias, 0)[:, None] <= hi[:, None])
    worst = np.where(weights > 0, 127 - point, -128 - point).astype(np.int64)
    reached = (worst * weights).sum(axis=1) + np.maximum(bias, 0)
    np.testing.assert_array_equal(reached, hi)


@pytest.mark.parametrize(("scale", "exponent"), [(1.0, 0), (0.25, -2), (8.0, 3), (0.3, None), (3.0, None)])
def test_only_powers_of_two_have_an_exponent(scale, exponent):
    assert exponent_of(scale) == exponent
