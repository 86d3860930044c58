"""Models rebuilt in tf_keras: equal to the original, or refused by the layer's name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import ConversionError, UnsupportedError
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.quantize.training.finetune import FineTuning
from mnist_export.quantize.training.rebuild import check_equal, rebuild


def layers() -> Any:
    from keras import layers as found

    return found


def build(output: Any, inputs: Any) -> Any:
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Model(inputs, output, name="built")
    generator = np.random.default_rng(2)
    # Statistics and scales that are not the identity, so that a forgotten one shows.
    model.set_weights(
        [w + generator.uniform(0.05, 0.3, w.shape).astype(np.float32) for w in model.get_weights()]
    )
    return model


def head(x: Any) -> Any:
    found = layers()
    return found.Dense(10, name="logits")(found.Flatten(name="flatten")(x))


def conv_batch_norm(x: Any) -> Any:
    found = layers()
    x = found.Conv2D(3, 3, use_bias=False, name="conv")(x)
    return found.ReLU(name="relu")(found.BatchNormalization(name="norm")(x))


def norm_after_relu(x: Any) -> Any:
    found = layers()
    x = found.Conv2D(3, 3, activation="relu", padding="same", name="conv")(x)
    return found.Conv2D(2, 3, padding="same", name="next")(found.BatchNormalization(name="norm")(x))


def residual(x: Any) -> Any:
    found = layers()
    x = found.Conv2D(4, 3, padding="same", name="first")(x)
    y = found.Conv2D(4, 3, padding="same", activation="relu", name="second")(x)
    return found.GlobalAveragePooling2D(name="mean")(found.Add(name="sum")([x, y]))


def operator_add(x: Any) -> Any:
    found = layers()
    x = found.Conv2D(4, 3, padding="same", name="first")(x)
    return x + found.DepthwiseConv2D(3, padding="same", name="second")(x)


def separable(x: Any) -> Any:
    found = layers()
    x = found.SeparableConv2D(4, 3, strides=2, activation="relu", name="split")(x)
    return found.LeakyReLU(negative_slope=0.2, name="leaky")(found.Dropout(0.5, name="drop")(x))


def rescaled(x: Any) -> Any:
    found = layers()
    x = found.Rescaling(2.0, offset=-1.0, name="scale")(x)
    return found.Concatenate(name="both")([x, found.Conv2D(2, 1, name="conv")(x)])


def nested(x: Any) -> Any:
    import keras

    found = layers()
    inner_in = found.Input((28, 28, 1), name="inner_in")
    inner = keras.Model(inner_in, found.Conv2D(3, 3, name="inner_conv")(inner_in), name="inner")
    return found.MaxPooling2D(2, name="pool")(inner(x))


def norm_and_skip(x: Any) -> Any:
    found = layers()
    x = found.Conv2D(3, 3, activation="relu", padding="same", name="conv")(x)
    return found.Add(name="sum")([x, found.BatchNormalization(name="norm")(x)])


@pytest.mark.parametrize(
    "body",
    [norm_and_skip, conv_batch_norm, norm_after_relu, residual, operator_add, separable, rescaled, nested],
)
def test_a_rebuilt_model_gives_the_same_logits(body: Any, digits: Dataset, unit: InputRange) -> None:
    inputs = layers().Input((28, 28, 1), name="image")
    model = build(head(body(inputs)), inputs)
    before = model.get_weights()
    made = rebuild(model, (28, 28, 1))
    found = check_equal(model, made, digits.test.images[:32], unit)
    assert found.max_abs_difference <= found.bound
    assert found.images == 32
    made.set_weights([weight * 0 for weight in made.get_weights()])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)  # nothing is shared


def test_a_plain_network_is_equal_to_the_last_bit(tiny_model: Any, digits: Dataset, unit: InputRange) -> None:
    found = check_equal(tiny_model, rebuild(tiny_model, (28, 28, 1)), digits.test.images[:64], unit)
    assert found.max_abs_difference == 0
    assert "last bit" in found.sentence()


def test_other_weights_are_not_taken_for_equal(tiny_model: Any, digits: Dataset, unit: InputRange) -> None:
    made = rebuild(tiny_model, (28, 28, 1))
    weights = made.get_weights()
    weights[0] = weights[0] * np.float32(1.001)
    made.set_weights(weights)
    with pytest.raises(ConversionError, match="other logits"):
        check_equal(tiny_model, made, digits.test.images[:64], unit)


def test_a_layer_without_a_form_is_named_with_the_way_out() -> None:
    found = layers()
    inputs = found.Input((28, 28, 1))
    model = build(head(found.Conv2DTranspose(2, 3, name="upward")(inputs)), inputs)
    with pytest.raises(UnsupportedError, match=r"'upward' \(Conv2DTranspose\).*`int8=True` alone"):
        rebuild(model, (28, 28, 1))


def test_a_shared_layer_is_refused_by_name() -> None:
    found = layers()
    inputs = found.Input((28, 28, 1))
    shared = found.Conv2D(1, 3, padding="same", name="twice")
    model = build(head(shared(shared(inputs))), inputs)
    with pytest.raises(UnsupportedError, match="'twice' is used twice"):
        rebuild(model, (28, 28, 1))


def test_a_subclassed_model_is_refused() -> None:
    import keras

    class Own(keras.Model):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(UnsupportedError, match="subclassed"):
        rebuild(Own(), (28, 28, 1))


def test_training_refuses_no_epochs_and_no_validation(digits: Dataset) -> None:
    from dataclasses import replace

    from mnist_export.core.errors import InputError

    with pytest.raises(InputError, match="1 to 1000 epochs"):
        FineTuning(dataset=digits, epochs=0)
    with pytest.raises(InputError, match="validation"):
        FineTuning(dataset=replace(digits, validation=digits.validation.take(np.arange(0))))


def test_a_normalization_behind_a_relu_is_left_with_signs_and_shifts(
    digits: Dataset, unit: InputRange
) -> None:
    inputs = layers().Input((28, 28, 1), name="image")
    model = build(head(norm_after_relu(inputs)), inputs)
    norm = model.get_layer("norm")
    weights = norm.get_weights()
    weights[0] = np.array([300.0, -0.01, 2.0], np.float32)  # factors that one 8-bit scale could not hold
    norm.set_weights(weights)
    made = rebuild(model, (28, 28, 1))
    np.testing.assert_array_equal(made.get_layer("norm").get_weights()[0].ravel(), [1.0, -1.0, 1.0])
    found = check_equal(model, made, digits.test.images[:32], unit)
    assert found.max_abs_difference <= found.bound


def test_for_pruning_and_clustering_a_normalization_stays_and_weights_are_the_layers_own(
    digits: Dataset, unit: InputRange
) -> None:
    inputs = layers().Input((28, 28, 1), name="image")
    model = build(head(norm_after_relu(inputs)), inputs)
    made = rebuild(model, (28, 28, 1), for_int8=False)
    again = rebuild(made, (28, 28, 1))  # what is trained on after it

    assert type(made.get_layer("norm")).__name__ == "BatchNormalization"
    np.testing.assert_array_equal(made.get_layer("conv").kernel, model.get_layer("conv").kernel)
    assert type(again.get_layer("norm")).__name__ == "DepthwiseConv2D"
    moved = again.get_layer("conv").get_weights()[0] - model.get_layer("conv").get_weights()[0]
    assert np.abs(moved).max() > 0
    for rebuilt in (made, again):
        check_equal(model, rebuilt, digits.test.images[:32], unit)
