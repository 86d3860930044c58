"""Recurrent layers are unrolled when a model is loaded, or refused with the ways out."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.errors import UnsupportedError
from mnist_export.models.recurrent import MAX_STEPS, unroll
from mnist_export.models.structure.macs import count_macs


def _network(layer, shape=(12, 5)):
    import keras

    return keras.Sequential([keras.Input(shape), layer, keras.layers.Dense(3)])


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_an_unrolled_layer_gives_the_same_values(kind):
    import keras

    model = _network(getattr(keras.layers, kind)(4, name="rows"))
    x = np.random.default_rng(0).normal(size=(3, 12, 5)).astype(np.float32)
    before = np.asarray(model(x, training=False))

    assert unroll(model) == ("recurrent layer 'rows' is unrolled over its 12 steps",)
    assert model.layers[0].unroll
    assert unroll(model) == ()
    np.testing.assert_allclose(np.asarray(model(x, training=False)), before, atol=1e-6)


def test_both_directions_are_unrolled_and_counted():
    import keras

    model = _network(keras.layers.Bidirectional(keras.layers.LSTM(4)))

    assert len(unroll(model)) == 2
    assert count_macs(model) == 12 * 2 * (5 * 16 + 4 * 16) + 8 * 3


def test_too_many_steps_or_kept_state_are_refused_with_the_way_out():
    import keras

    with pytest.raises(UnsupportedError, match=rf"'long' \(GRU\): expected at most {MAX_STEPS} steps"):
        unroll(_network(keras.layers.GRU(2, name="long"), (MAX_STEPS + 1, 2)))
    with pytest.raises(UnsupportedError, match="no fixed number"):
        unroll(_network(keras.layers.LSTM(2), (None, 2)))
    stateful = keras.Sequential([keras.Input(batch_shape=(1, 4, 2)), keras.layers.LSTM(2, stateful=True)])
    with pytest.raises(UnsupportedError, match="stateful=False"):
        unroll(stateful)
