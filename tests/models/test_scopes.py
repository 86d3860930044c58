"""Stand-ins for names that TensorFlow takes for no scope."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_export.models.structure.engine import tensorflow
from mnist_export.models.structure.scopes import own_names, stand_in, traceable

_ANY = st.text(min_size=1, max_size=60).filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))


@settings(deadline=None)
@given(name=_ANY, prefix=st.sampled_from(["", "quant_", "prune_low_magnitude_"]))
def test_a_stand_in_is_a_scope_and_comes_back_out_of_longer_names(name: str, prefix: str) -> None:
    tf = tensorflow()
    with tf.Graph().as_default(), tf.name_scope(prefix + stand_in(name)):
        pass
    assert own_names(f"{prefix}{stand_in(name)}_1/kernel") == f"{prefix}{name}_1/kernel"


@pytest.mark.parametrize("name", ["conv2d_1", "a.b", "x-y", "Conv2D", "logits"])
def test_plain_names_stay(name: str) -> None:
    assert stand_in(name) == name


def test_a_name_that_looks_like_a_stand_in_gets_one_too() -> None:
    name = stand_in("my layer")
    assert stand_in(name) != name
    assert own_names(stand_in(name)) == name


def test_a_model_of_odd_names_is_traced_and_keeps_them(keras: Any, pictures: np.ndarray) -> None:
    tf = tensorflow()
    layers = keras.layers
    inner = keras.Sequential([layers.Input((28, 28, 1)), layers.Conv2D(2, 3, name="in ner")], name="a b")
    model = keras.Sequential(
        [layers.Input((28, 28, 1)), inner, layers.Flatten(), layers.Dense(3, name="[0]")], name="größe"
    )
    made = traceable(model)
    found = tf.function(lambda x: made(x, training=False))(pictures)
    # A graph may sum in another order than single calls do.
    np.testing.assert_allclose(found, model(pictures, training=False), rtol=1e-5, atol=1e-6)
    assert [layer.name for layer in made.layers][-1] == "[0]"
    assert (inner.name, inner.layers[0].name, made.name) == ("a b", "in ner", "größe")


def test_a_model_of_plain_names_is_left_alone(small_model: Any) -> None:
    model = small_model()
    assert traceable(model) is model
