import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.pixels import InputRange

PIXELS = np.arange(256, dtype=np.uint8)


def test_the_default_range_is_pixel_over_255_to_the_last_bit():
    assert np.array_equal(InputRange().to_real(PIXELS), PIXELS.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(("lo", "hi"), [(0, 1), (0, 255), (-1, 0), (0, 0.5)])
def test_an_int8_input_is_the_pixel_minus_128(lo, hi):
    span = InputRange(lo=lo, hi=hi)
    codes = span.params_int8().quantize(span.to_real(PIXELS), np.int8)
    assert np.array_equal(codes.astype(int), PIXELS.astype(int) - 128)


def test_a_range_whose_zero_falls_between_pixels_is_off_by_at_most_half_a_step():
    span = InputRange(lo=-1, hi=1)
    params = span.params_int8()
    back = params.dequantize((PIXELS.astype(int) - 128).astype(np.int8))
    assert np.abs(back - span.to_real(PIXELS)).max() <= float(params.scale[0]) * 0.5001


@pytest.mark.parametrize("text", ["", "1", "0,1,2", "a,b", "1,0", "0,0", "nan,1", "0,inf"])
def test_a_range_that_is_none_is_refused_with_an_example(text):
    with pytest.raises(InputError, match="`input_range`"):
        InputRange.parse(text)
