from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_export.quantize.exact.grid import snap_weights
from mnist_export.quantize.exact.rounding import LayerRounder, spread_average, statistics


def correlated(rng, rows, size):
    mix = rng.normal(size=(size, size)) * np.linspace(2, 0.05, size)
    return (rng.normal(size=(rows, size)) @ mix.T).astype(np.float32)


def test_rounding_with_feedback_errs_less_at_the_output_than_rounding_to_nearest():
    rng = np.random.default_rng(0)
    inputs = correlated(rng, 4000, 40)[:, None, :]
    weights = rng.normal(0, 0.1, (8, 40))
    rounder = LayerRounder(weights, statistics(inputs, inputs))
    step = np.full(8, 2.0**-7)
    fed_back = rounder.round(step)
    nearest = snap_weights(weights / step[:, None])
    real = inputs[:, 0] - inputs[:, 0].mean(axis=0)
    errors = [
        float(np.mean((real @ (weights - codes * step[:, None]).T) ** 2)) for codes in (fed_back, nearest)
    ]
    assert errors[0] < 0.7 * errors[1]
    assert np.all(fed_back % 4 == 0)


def test_weights_make_good_what_quantized_inputs_lost():
    rng = np.random.default_rng(1)
    floats = correlated(rng, 6000, 12)[:, None, :]
    quantized = (0.8 * floats + 0.1).astype(np.float32)  # an input that is too small throughout
    weights = rng.normal(0, 1, (3, 12))
    rounder = LayerRounder(weights, statistics(floats, quantized))
    wanted = (floats - floats.mean(axis=0))[:, 0] @ weights.T
    given_now, given_before = (
        (quantized - quantized.mean(axis=0))[:, 0] @ w.T for w in (rounder.target, weights)
    )
    assert np.mean((given_now - wanted) ** 2) < 0.01 * np.mean((given_before - wanted) ** 2)


def test_the_bias_leaves_each_mean_output_where_it_was():
    rng = np.random.default_rng(2)
    floats = np.abs(correlated(rng, 2000, 10))[:, None, :]
    weights, bias = rng.normal(0, 0.3, (5, 10)), rng.normal(0, 1, 5)
    rounder = LayerRounder(weights, statistics(floats, floats))
    step = np.full(5, 2.0**-5)
    codes = rounder.round(step)
    moved = rounder.bias(bias, codes, step)
    before = floats[:, 0].astype(np.float64) @ weights.T + bias
    after = floats[:, 0].astype(np.float64) @ (codes * step[:, None]).T + moved
    np.testing.assert_allclose(after.mean(axis=0), before.mean(axis=0), atol=1e-4)


def test_few_images_cannot_bend_many_weights():
    rng = np.random.default_rng(3)
    floats = rng.normal(size=(4, 1, 60)).astype(np.float32)
    weights = rng.normal(0, 0.1, (2, 60))
    rounder = LayerRounder(
        weights, statistics(floats, floats + rng.normal(0, 0.1, floats.shape).astype(np.float32))
    )
    assert np.abs(rounder.target - weights).max() < 0.5 * np.abs(weights).max()


def test_channels_of_a_depthwise_layer_are_rounded_each_by_its_own_inputs():
    rng = np.random.default_rng(4)
    inputs = np.stack([correlated(rng, 500, 9) for _ in range(6)], axis=1)
    weights = rng.normal(0, 0.2, (6, 9))
    together = LayerRounder(weights, statistics(inputs, inputs)).round(np.full(6, 2.0**-7))
    for channel in range(6):
        alone = inputs[:, channel : channel + 1]
        rounder = LayerRounder(weights[channel : channel + 1], statistics(alone, alone))
        np.testing.assert_array_equal(rounder.round(np.full(1, 2.0**-7))[0], together[channel])


@given(st.integers(1, 1024))
@settings(deadline=None)
def test_weights_of_an_average_sum_to_exactly_one_and_are_nearly_equal(size):
    taps, exponent = spread_average(size)
    assert taps.sum(dtype=np.int64) * 2.0**exponent == 1.0
    assert np.all(taps % 4 == 0)
    assert taps.max() <= 124
    assert taps.max() - taps.min() <= 4


@pytest.mark.parametrize("size", [1, 4, 16, 64])
def test_averages_over_powers_of_two_have_one_weight(size):
    taps, _ = spread_average(size)
    assert len(np.unique(taps)) == 1
