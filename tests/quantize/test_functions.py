"""Functions between layers rebuilt in tf_keras for training: spelled with layers, or refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.models.structure.engine import tensorflow, tf_keras
from mnist_export.quantize.training.rebuild import check_equal, rebuild


def _keras(body: Callable[[Any, Any], Any]) -> Any:
    tensorflow()
    import keras
    from keras import layers

    keras.utils.set_random_seed(8)
    inputs = layers.Input((28, 28, 1), name="image")
    x = body(keras, layers.Conv2D(4, 3, padding="same", name="conv")(inputs))
    x = layers.Flatten(name="flat")(x) if len(x.shape) > 2 else x
    return keras.Model(inputs, layers.Dense(10, name="last")(x), name="net")


def _conv(keras: Any, x: Any) -> Any:
    return keras.layers.Conv2D(4, 3, padding="same")(x)


EQUAL: dict[str, tuple[Callable[[Any, Any], Any], list[str]]] = {
    "two tensors": (lambda k, x: x + _conv(k, x), ["Conv2D", "Add"]),
    "twice itself": (lambda k, x: x + x, ["Add"]),
    "a number": (lambda k, x: x + 3.0, ["DepthwiseConv2D"]),
    "from a number": (lambda k, x: 1 - x, ["DepthwiseConv2D"]),
    "divided": (lambda k, x: x / 2, ["DepthwiseConv2D"]),
    "channels": (lambda k, x: x * np.array([[[1, 2, 3, 4]]], np.float32), ["DepthwiseConv2D"]),
    "hard": (lambda k, x: k.ops.relu6(x + 3.0) * (1 / 6), ["DepthwiseConv2D", "ReLU", "DepthwiseConv2D"]),
    "joined": (lambda k, x: k.ops.concatenate([x, _conv(k, x)], axis=1), ["Conv2D", "Concatenate"]),
    "mean": (lambda k, x: k.ops.mean(x, axis=(1, 2)), ["GlobalAveragePooling2D"]),
    "pools": (lambda k, x: k.ops.average_pool(k.ops.max_pool(x, 2), 2), ["MaxPooling2D", "AveragePooling2D"]),
    "transpose": (lambda k, x: k.ops.transpose(x, (0, 2, 1, 3)), ["Permute"]),
    "reshape": (lambda k, x: k.ops.reshape(x, (-1, 28, 112)), ["Reshape"]),
    "activations": (lambda k, x: k.ops.tanh(k.ops.leaky_relu(x, 0.1)), ["LeakyReLU", "Activation"]),
}  # fmt: skip


@pytest.mark.parametrize("name", EQUAL)
def test_an_operation_becomes_the_layers_that_compute_the_same(
    name: str, digits: Dataset, unit: InputRange
) -> None:
    body, kinds = EQUAL[name]
    model = _keras(body)
    made = rebuild(model, (28, 28, 1))
    ends = {"InputLayer", "Flatten", "Dense"}
    found = [type(layer).__name__ for layer in made.layers if type(layer).__name__ not in ends]
    assert found == ["Conv2D", *kinds]
    equality = check_equal(model, made, digits.test.images[:16], unit)
    assert equality.max_abs_difference <= equality.bound


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (lambda k, x: x * x, r"'multiply\w*' \(Multiply\)"),
        (lambda k, x: 1 / (x + 9), r"'true_divide\w*' \(TrueDivide\)"),
        (lambda k, x: x[:, ::2], r"'get_item\w*' \(GetItem\)"),
        (lambda k, x: k.ops.maximum(x, 0.1), r"'maximum\w*' \(Maximum\)"),
        (lambda k, x: k.ops.exp(x), r"'exp\w*' \(Exp\)"),
        (lambda k, x: k.ops.mean(x, axis=1), r"'mean\w*' \(Mean\) is a mean over other axes"),
        (lambda k, x: x + np.ones((28, 28, 1), np.float32), r"'add\w*' \(Add\) computes with numbers"),
        (lambda k, x: k.layers.Flatten()(x) + 1.0, r"'add\w*' \(Add\) scales values of rank 2"),
        (lambda k, x: k.ops.transpose(k.ops.transpose(x, (1, 0, 2, 3)), (1, 0, 2, 3)), r"'transpose\w*'"),
    ],
)
def test_an_operation_without_a_form_is_refused_by_its_name(
    body: Callable[[Any, Any], Any], named: str
) -> None:
    with pytest.raises(UnsupportedError, match=rf"layer {named}.*`int8=True` alone"):
        rebuild(_keras(body), (28, 28, 1))


def test_names_that_recur_in_a_nested_model(digits: Dataset, unit: InputRange) -> None:
    def body(keras: Any, x: Any) -> Any:
        inner_in = keras.Input((28, 28, 4))
        inner = keras.Model(inner_in, inner_in + 1.0, name="inner")
        (inside,) = (part for part in inner.operations if type(part).__name__ == "Add")
        outside = x + 2.0
        outside._keras_history.operation.name = inside.name = "shift"
        return inner(outside)

    model = _keras(body)
    made = rebuild(model, (28, 28, 1))
    names = [layer.name for layer in made.layers if type(layer).__name__ == "DepthwiseConv2D"]
    assert names == ["shift", "shift.2"]
    assert check_equal(model, made, digits.test.images[:8], unit).max_abs_difference <= 1e-4


def test_functions_of_keras_2(digits: Dataset, unit: InputRange, tmp_path: Path) -> None:
    tf, kind = tensorflow(), tf_keras()
    from mnist_export.models.loading import load_model

    inputs = kind.Input((28, 28, 1))
    x = kind.layers.Conv2D(4, 3, padding="same")(inputs)
    x = tf.concat([x, tf.nn.relu6(x + 3.0) * (1 / 6)], 1)
    model = kind.Model(inputs, kind.layers.Dense(10)(kind.layers.Flatten()(x)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(tmp_path / "net.h5")
    for found in (model, load_model(str(tmp_path / "net.h5"), notify=lambda _: None).model):
        made = rebuild(found, (28, 28, 1))
        assert [type(layer).__name__ for layer in made.layers].count("DepthwiseConv2D") == 2
        assert check_equal(found, made, digits.test.images[:8], unit).max_abs_difference <= 1e-4
    sliced = kind.Model(inputs, kind.layers.Dense(10)(kind.layers.Flatten()(inputs[:, ::2])))
    with pytest.raises(UnsupportedError, match=r"getitem\w*' \(SlicingOpLambda\).*`int8=True` alone"):
        rebuild(sliced, (28, 28, 1))
