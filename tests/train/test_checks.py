from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.models.structure.activations import last_activation, loss_mismatch, takes_logits
from mnist_export.train.checks import check_before_training, stuck_loss


def test_logits_with_a_loss_for_probabilities_are_refused_with_the_line_to_change(
    small_model: Callable[..., Any], keras: Any
) -> None:
    for loss in (
        "categorical_crossentropy",
        "sparse_categorical_crossentropy",
        keras.losses.categorical_crossentropy,
        keras.losses.SparseCategoricalCrossentropy(),
    ):
        with pytest.raises(InputError, match=r"Change one line: loss=.*from_logits=True"):
            check_before_training(small_model(None), loss, 10)


def test_softmax_with_a_loss_for_logits_is_refused(small_model: Callable[..., Any], keras: Any) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(
        InputError, match=r"ends in softmax, but the loss has from_logits=True.*activation=None"
    ):
        check_before_training(small_model("softmax"), loss, 10)


def test_matching_pairs_pass(small_model: Callable[..., Any], keras: Any) -> None:
    check_before_training(small_model(None), keras.losses.CategoricalCrossentropy(from_logits=True), 10)
    check_before_training(small_model("softmax"), "sparse_categorical_crossentropy", 10)
    check_before_training(small_model(None), "mse", 10)


def test_softmax_is_found_in_whatever_form(small_model: Callable[..., Any], keras: Any) -> None:
    plain = small_model(None)
    layers = keras.layers
    assert last_activation(plain) == "linear"
    assert last_activation(small_model("softmax")) == "softmax"
    assert last_activation(keras.Sequential([plain, layers.Softmax()])) == "softmax"
    assert last_activation(keras.Sequential([plain, layers.Activation("softmax")])) == "softmax"
    assert last_activation(keras.Sequential([layers.Input((28, 28, 1)), small_model("softmax")])) == "softmax"


def test_losses_that_are_no_cross_entropy_are_left_alone() -> None:
    assert takes_logits("mean_squared_error") is None
    assert loss_mismatch("linear", None) is None


def test_missing_flatten_is_named(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential([layers.Input((28, 28, 1)), layers.Dense(16), layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(InputError, match=r"A Flatten .* is missing before the first Dense layer"):
        check_before_training(model, loss, 10)


def test_output_of_another_width_is_refused(small_model: Callable[..., Any], keras: Any) -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(InputError, match=r"expected an output of shape \(batch, 7\), found \(None, 10\)"):
        check_before_training(small_model(None), loss, 7)


def test_loss_that_stays_at_guessing_is_noticed() -> None:
    guessing = math.log(10)
    stuck = list(guessing + 0.02 * np.sin(np.arange(200)))
    assert "ln(10) = 2.303" in (stuck_loss(stuck, 10) or "")
    assert "from_logits" in (stuck_loss(stuck, 10) or "")


def test_loss_that_falls_is_left_alone() -> None:
    falling = list(np.linspace(math.log(10), 1.5, 200))
    assert stuck_loss(falling, 10) is None
    assert stuck_loss([math.log(10)] * 5, 10) is None, "too few batches to judge"


def test_the_pitfall_itself_leaves_the_loss_at_guessing(keras: Any, digits: Any) -> None:
    """Logits into a loss for probabilities, trained for real: the check sees what the seed's author saw."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    model = keras.Sequential([layers.Input((28, 28, 1)), layers.Flatten(), layers.Dense(10)])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    losses: list[float] = []
    x, y = digits.train.images[:960].astype(np.float32) / 255, digits.train.labels[:960]
    for _ in range(2):
        for start in range(0, 960, 32):
            losses.append(float(model.train_on_batch(x[start : start + 32], y[start : start + 32])))
            model.reset_metrics()
    assert stuck_loss(losses, 10) is not None
