import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_export.core.affine import QuantParams, asymmetric
from mnist_export.core.errors import InputError

finite = st.floats(-1e6, 1e6, allow_nan=False, width=32)


@given(lo=finite, hi=finite, dtype=st.sampled_from([np.int8, np.uint8, np.int16]))
def test_real_zero_is_held_exactly_by_every_range(lo, hi, dtype):
    params = asymmetric(min(lo, hi), max(lo, hi), dtype)
    zero = params.quantize(np.zeros(1), dtype)
    assert params.dequantize(zero)[0] == 0.0


@given(lo=st.floats(-100, 0), hi=st.floats(0.01, 100), share=st.floats(0, 1))
def test_a_value_within_the_range_is_off_by_at_most_one_step(lo, hi, share):
    params = asymmetric(lo, hi, np.int8)
    step = float(params.scale[0])
    value = lo + share * (hi - lo)
    back = params.dequantize(params.quantize(np.array([value]), np.int8))[0]
    # Half a step from rounding the value, half a step where the zero point was rounded at the range's end.
    assert abs(back - value) <= step * 1.001


@given(
    codes=st.lists(st.integers(-128, 127), min_size=1, max_size=20),
    scale=st.floats(1e-3, 10),
    zero=st.integers(-128, 127),
)
def test_codes_survive_a_round_trip(codes, scale, zero):
    params = QuantParams.per_tensor(scale, zero)
    q = np.array(codes, np.int8)
    assert np.array_equal(params.quantize(params.dequantize(q).astype(np.float64), np.int8), q)


def test_rounding_is_half_to_even():
    params = QuantParams.per_tensor(1.0)
    assert params.quantize([0.5, 1.5, 2.5, -0.5, -1.5], np.int8).tolist() == [0, 2, 2, 0, -2]


def test_per_channel_scales_run_along_their_axis():
    params = QuantParams.per_channel([1.0, 10.0], quantized_dimension=1)
    assert params.quantize(np.full((1, 2, 3), 20.0), np.int8)[0].tolist() == [[20] * 3, [2] * 3]


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_a_scale_that_is_not_finite_and_positive_is_refused(scale):
    with pytest.raises(InputError, match="finite positive"):
        QuantParams.per_tensor(scale)


@pytest.mark.parametrize(("lo", "hi"), [(np.nan, 1), (0, np.inf), (2, 1)])
def test_a_range_that_is_not_finite_and_ordered_is_refused(lo, hi):
    with pytest.raises(InputError, match="finite lo <= hi"):
        asymmetric(lo, hi, np.int8)
