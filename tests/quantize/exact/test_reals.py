"""What is said of float32 values between codes, against brute force."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_export.parity.certificate.rules import Codes, certify_rounded
from mnist_export.quantize.exact import reals
from mnist_export.quantize.exact.between import pool_counts

EXPONENTS = st.integers(-9, 2)


def rounded_both_ways(values, scale):
    """Codes by ties to even and by ties away from zero."""
    steps = values.astype(np.float32) / np.float32(scale)
    away = np.copysign(np.floor(np.abs(steps) + np.float32(0.5)), steps)
    return np.rint(steps), away


def values_of(zero_point, exponent):
    return ((np.arange(-128, 128) - zero_point) * 2.0**exponent).astype(np.float32)


@given(EXPONENTS, EXPONENTS, EXPONENTS, st.integers(-128, 127), st.integers(-128, 127))
@settings(max_examples=60, deadline=None)
def test_nudged_products_are_rounded_alike(first, second, target, zero, other):
    scale = 2.0**target
    known = reals.product(
        reals.dequantized(2.0**first, zero, -128, 127), reals.dequantized(2.0**second, other, -128, 127)
    )
    products = np.multiply.outer(values_of(zero, first), values_of(other, second))
    assert known.is_exact
    assert np.abs(products).max() <= float(known.bound)
    extra = reals.nudge(known, scale)
    even, away = rounded_both_ways(products + np.float32(extra), scale)
    np.testing.assert_array_equal(even, away)
    if known.margin(scale) <= 0:
        even, away = rounded_both_ways(products, scale)
        # a lattice says what may be, not what is: small products need not reach a tie
        assert (even != away).any() or np.abs(products).max() < 2**9 * scale


@given(st.integers(1, 7), st.integers(1, 7), EXPONENTS, st.integers(-2, 2))
@settings(max_examples=40, deadline=None)
def test_nudged_means_are_rounded_alike(height, width, exponent, finer):
    count, scale = height * width, 2.0 ** (exponent + finer)
    known = reals.averaged(reals.dequantized(2.0**exponent, -128, -128, 127), [count])
    sums = np.arange(0, 255 * count + 1, dtype=np.float32) * np.float32(2.0**exponent)
    extra = np.float32(reals.nudge(known, scale))
    divided, multiplied = sums / np.float32(count), sums * (np.float32(1) / np.float32(count))
    codes = [code for means in (divided, multiplied) for code in rounded_both_ways(means + extra, scale)]
    for code in codes[1:]:
        np.testing.assert_array_equal(code, codes[0])


def test_what_cannot_be_followed_is_said():
    shifted = reals.total(reals.dequantized(0.5, 0, -128, 127), reals.constants(np.array([0.25])))
    assert reals.product(shifted, reals.dequantized(0.5, 0, -128, 127)) is None
    assert reals.constants(np.arange(5000.0)) is None
    assert reals.constants(np.array([np.nan])) is None


def test_a_margin_shrinks_by_what_float32_errs():
    third = reals.averaged(reals.dequantized(1.0, 0, -128, 127), [3])
    assert 0 < third.margin(1.0) < 1 / 6
    many = reals.averaged(reals.dequantized(1.0, 0, -128, 127), [2**20 + 1])
    assert many.margin(1.0) < 0


def test_what_a_hostile_file_may_hold_is_bounded():
    codes = reals.dequantized(0.5, 0, -128, 127)
    many = reals.constants(np.arange(4000.0))
    assert reals.product(many, many) is None
    assert reals.total(many, many) is None
    assert reals.averaged(codes, pool_counts((10**9, 10**9), padded=True)) is None
    assert reals.averaged(codes, pool_counts((0, 3), padded=True)) is None
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        assert reals.dequantized(scale, 0, -128, 127) is None
        target = Codes(scale=scale, zero_point=0, dtype=np.dtype(np.int8))
        assert not certify_rounded("layer", "QUANTIZE", codes, target).holds
