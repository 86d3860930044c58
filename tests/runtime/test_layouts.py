"""Layers of files that are rewritten for speed, matched with those of files that are not."""

import numpy as np
import pytest

from mnist_export.parity.layers.activations import Activation
from mnist_export.parity.layers.comparison import compare_layers
from mnist_export.parity.layers.layouts import rewritten_layouts, same_layouts

SHAPE = (3, 8, 12, 5)  # n, H, W, C: no size twice


def plain(seed=0):
    return np.random.default_rng(seed).normal(size=SHAPE)


def in_blocks(values, rows, columns, window):
    """The map in blocks, value by value: an independent spelling of the layout."""
    count, height, width, channels = values.shape
    groups = columns // window
    made = np.empty((count, height // rows, width // columns, rows * columns * channels))
    for y in range(height):
        for x in range(width):
            group, column = divmod(x % columns, window)
            place = ((y % rows * window + column) * groups + group) * channels
            made[:, y // rows, x // columns, place : place + channels] = values[:, y, x]
    return made


def nchw(values):
    return values.transpose(0, 3, 1, 2)


def act(name, values, **options):
    return Activation(name=name, kind="", values=np.asarray(values, np.float32), **options)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("blocks", [(1, 2, 1), (1, 4, 2), (2, 2, 2), (2, 6, 3), (2, 4, 1), (1, 12, 4)])
def test_a_map_in_blocks_is_found_whichever_side_holds_it(blocks, turned):
    values = plain()
    blocked = in_blocks(values, *blocks)
    other = nchw(blocked) if turned else blocked
    for reference, candidate in ((values, other), (nchw(values), other), (other, values)):
        assert list(same_layouts(reference, candidate)) == []
        pairs = list(rewritten_layouts(reference, candidate))
        assert all(ours.shape == theirs.shape for ours, theirs in pairs)
        assert any(np.array_equal(ours, theirs) for ours, theirs in pairs)


def test_blocks_without_a_pool_are_the_plain_reshape():
    values = plain()
    np.testing.assert_array_equal(in_blocks(values, 1, 4, 1), values.reshape(3, 8, 3, 20))


@pytest.mark.parametrize("turned", [False, True])
def test_rows_and_columns_that_a_pool_leaves_out_may_be_missing(turned):
    values = plain()
    less = values[:, :7, :11]
    result = compare_layers([act("a", values)], [act("b", nchw(less) if turned else less)])
    assert result.layers[0].max_abs_error == 0
    result = compare_layers([act("a", less)], [act("b", values)])
    assert result.layers[0].max_abs_error == 0


def test_the_layer_in_blocks_is_compared_value_by_value():
    values = plain()
    blocked = in_blocks(values, 2, 4, 2)
    blocked[1, 2, 1, 7] += 0.5
    layer = compare_layers([act("a", values)], [act("b", blocked)]).layers[0]
    assert layer.max_abs_error == pytest.approx(0.5)
    assert layer.differing == pytest.approx(1 / values.size)


def test_an_equal_shape_goes_before_blocks():
    values = plain()
    blocked = in_blocks(values, 1, 4, 1)
    result = compare_layers([act("a", values)], [act("blocked", blocked), act("same", values)])
    assert [layer.candidate for layer in result.layers] == ["same"]
    assert result.unmatched == ("blocked",)


def test_another_map_of_as_many_values_is_not_taken_for_blocks():
    values, other = plain(), plain(seed=1)
    head = np.ones((3, 4)) + np.arange(4)
    result = compare_layers(
        [act("a", values), act("head", head)],
        [act("b", in_blocks(other, 2, 4, 2)), act("head", head)],
    )
    assert [layer.candidate for layer in result.layers] == ["head"]
    assert result.unmatched == ("b",)


def test_a_value_on_another_way_to_the_same_result_is_no_damage():
    """A batch normalization before the ReLU on one side and behind it on the other."""
    values, after = plain(), plain(seed=1)
    steps = {"step": 0.1, "qrange": (-100.0, 100.0)}
    reference = [act("conv", values), act("norm", after)]
    candidate = [act("affine", plain(seed=2), **steps), act("norm", after + 0.01, **steps)]
    result = compare_layers(reference, candidate)
    assert result.first is None
    assert result.unmatched == ("affine",)
    # where the next layer has the error too, it is damage, and the first one is named
    wrong = [candidate[0], act("norm", plain(seed=3), **steps)]
    assert compare_layers(reference, wrong).first.candidate == "affine"
