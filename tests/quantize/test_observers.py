"""Ranges from streamed values."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.quantize.ranges.calibration import OBSERVERS, Range

METHODS = list(OBSERVERS)


def observed(method: str, values: np.ndarray, batches: int = 4) -> Range:
    observer = OBSERVERS.get(method)()
    for number in range(observer.passes):
        for part in np.array_split(values.astype(np.float32), batches):
            observer.update(part, number)
    return observer.range()


def quantization_error(values: np.ndarray, found: Range) -> float:
    scale = (found.hi - found.lo) / 255
    zero = np.rint(-found.lo / scale)
    codes = np.clip(np.rint(values / scale) + zero, 0, 255)
    return float(np.mean(np.square(values - (codes - zero) * scale)))


@pytest.mark.parametrize("method", METHODS)
def test_a_range_stays_within_the_values_and_holds_zero(method: str) -> None:
    values = np.random.default_rng(0).normal(0.5, 1.0, 5000)
    found = observed(method, values)
    assert values.min() - 1e-6 <= found.lo <= 0 <= found.hi <= values.max() + 1e-6


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_batches_does_not_matter(method: str) -> None:
    values = np.random.default_rng(1).gamma(1.0, 2.0, 4000)
    assert observed(method, values, 3) == observed(method, values, 7)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 2.5, -1.5])
def test_a_constant_tensor_has_a_range_that_holds_its_value(method: str, value: float) -> None:
    found = observed(method, np.full(64, value))
    assert min(found.lo, 0.0) <= value <= max(found.hi, 0.0)


# One squared error of (40 - h)^2 against 200,000 of (h / 255)^2 / 12: least near h = 31 for MSE.
@pytest.mark.parametrize(("method", "limit"), [("percentile", 1.1), ("mse", 33.0)])
def test_one_outlier_among_many_values_is_cut_off(method: str, limit: float) -> None:
    values = np.concatenate([np.random.default_rng(2).uniform(0, 1, 200_000), [40.0]])
    assert observed("minmax", values).hi == 40.0
    assert observed(method, values).hi < limit


def test_entropy_chooses_another_range_than_the_extremes_on_a_long_tail() -> None:
    values = np.random.default_rng(3).exponential(1.0, 50_000)
    found = observed("entropy", values)
    assert found.hi < 0.9 * observed("minmax", values).hi


def test_entropy_does_not_clip_a_tail_for_the_sake_of_a_spike() -> None:
    generator = np.random.default_rng(6)
    spike = np.full(95_000, 0.0731) + generator.normal(0, 1e-4, 95_000)
    values = np.concatenate([spike, generator.uniform(0, 8, 5_000)])
    assert np.mean(values > observed("entropy", values).hi) <= 0.001


def test_mse_is_never_worse_than_the_extremes() -> None:
    generator = np.random.default_rng(4)
    for values in (
        generator.normal(0, 1, 20_000),
        generator.gamma(0.5, 1, 20_000),
        generator.laplace(0, 1, 20_000),
    ):
        best, plain = observed("mse", values), observed("minmax", values)
        # Bin centres stand for values: 8 bins a step leave an error far below that of the steps.
        assert quantization_error(values, best) <= quantization_error(values, plain) * 1.01


def test_percentile_of_99_99_leaves_out_one_value_in_ten_thousand() -> None:
    values = np.random.default_rng(5).exponential(1.0, 200_000)
    outside = np.count_nonzero(values > observed("percentile", values).hi)
    assert 10 <= outside <= 20  # a bin on the limit is kept whole


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"percentil.*minmax.*Did you mean 'percentile'"):
        OBSERVERS.get("percentil")
