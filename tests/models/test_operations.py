"""Functions between layers, Keras 3's operations and Keras 2's TFOpLambda: loaded, counted, cut, named."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import UnsupportedError
from mnist_export.models.loading import load_model
from mnist_export.models.structure.engine import tensorflow, tf_keras
from mnist_export.models.structure.layer_table import layer_rows, summary
from mnist_export.models.structure.nodes import is_operation, leaves
from mnist_export.models.structure.scopes import scoped_operations


def _quiet(_: str) -> None:
    return None


def _saved(model: Any, path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return str(path)


def _hard_swish(keras: Any, x: Any) -> Any:
    return x * (keras.ops.relu6(x + 3.0) * (1 / 6))


def _channels(keras: Any, x: Any) -> Any:
    return (x - np.array([0.1, 0.2, 0.3, 0.4], np.float32)) / np.float32(2)


def _slices(keras: Any, x: Any) -> Any:
    return keras.ops.concatenate([x[:, ::2, 1:-1], 1 - x[:, 1::2, :-2]], axis=-1)


def _attention(keras: Any, x: Any) -> Any:
    ops = keras.ops
    return x * ops.sigmoid(ops.mean(x, axis=(1, 2), keepdims=True)) + ops.max(x, axis=-1, keepdims=True)


def _shapes(keras: Any, x: Any) -> Any:
    ops = keras.ops
    x = ops.transpose(ops.reshape(x, (-1, 26, 13, 8)), (0, 3, 1, 2))
    return ops.squeeze(ops.expand_dims(ops.swapaxes(x, 1, 3), 2), 2)


def _normalized(keras: Any, x: Any) -> Any:
    ops = keras.ops
    return (x - ops.mean(x, axis=-1, keepdims=True)) * ops.rsqrt(ops.var(x, axis=-1, keepdims=True) + 1e-3)


def _activations(keras: Any, x: Any) -> Any:
    ops = keras.ops
    x = ops.max_pool(ops.leaky_relu(x, 0.1), 2) + ops.average_pool(ops.gelu(x), 2)
    return ops.clip(ops.maximum(ops.silu(x), ops.tanh(x)), -0.2, 0.4) ** 2


def _windows(keras: Any, x: Any) -> Any:
    ops = keras.ops
    x = ops.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    x = ops.roll(ops.tile(x, [1, 1, 1, 2]), 2, axis=1)
    first, second = ops.split(x, 2, axis=-1)
    return ops.einsum("bijc,bijc->bijc", first, ops.cast(second, "float32")) + ops.sign(first) * ops.sin(
        second
    )


def _model(keras: Any, body: Any) -> Any:
    keras.utils.set_random_seed(6)
    layers = keras.layers
    inputs = layers.Input((28, 28, 1))
    x = body(keras, layers.Conv2D(4, 3, name="conv")(inputs))
    x = layers.GlobalAveragePooling2D(name="pool")(x) if len(x.shape) == 4 else x
    return keras.Model(inputs, layers.Dense(10, name="last")(x), name="net")


@pytest.mark.parametrize(
    "body", [_hard_swish, _channels, _slices, _attention, _shapes, _normalized, _activations, _windows]
)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_operations_give_the_same_logits(
    body: Any, suffix: str, keras: Any, pictures: np.ndarray, tmp_path: Path
) -> None:
    model = _model(keras, body)
    loaded = load_model(_saved(model, tmp_path / f"net{suffix}"), notify=_quiet)
    assert loaded.framework == "keras"
    np.testing.assert_array_equal(
        np.asarray(loaded.model(pictures, training=False)), np.asarray(model(pictures, training=False))
    )
    assert loaded.parameters == model.count_params()
    assert loaded.macs == 26 * 26 * 9 * 4 + 10 * model.get_layer("last").kernel.shape[0]


def test_layers_of_keras_applications(keras: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    from keras.src.applications.convnext import LayerScale, StochasticDepth

    def body(_: Any, x: Any) -> Any:
        y = LayerScale(0.3, 4, name="scale")(keras.layers.LayerNormalization()(x))
        return x + StochasticDepth(0.2, name="depth")(y)

    model = _model(keras, body)
    for suffix in (".keras", ".h5"):
        loaded = load_model(_saved(model, tmp_path / f"net{suffix}"), notify=_quiet)
        np.testing.assert_array_equal(
            np.asarray(loaded.model(pictures, training=False)), np.asarray(model(pictures, training=False))
        )


@pytest.mark.parametrize(
    "kind", ["GroupNormalization", "RMSNormalization", "UnitNormalization", "LayerNormalization"]
)
def test_normalizations(kind: str, keras: Any, pictures: np.ndarray, tmp_path: Path) -> None:
    settings = {"groups": 2} if kind == "GroupNormalization" else {}
    model = _model(keras, lambda k, x: getattr(k.layers, kind)(**settings)(x))
    loaded = load_model(_saved(model, tmp_path / "net.keras"), notify=_quiet)
    np.testing.assert_array_equal(
        np.asarray(loaded.model(pictures, training=False)), np.asarray(model(pictures, training=False))
    )


def test_functions_of_keras_2_go_through_tf_keras(pictures: np.ndarray, tmp_path: Path) -> None:
    tf, kind = tensorflow(), tf_keras()
    inputs = kind.Input((28, 28, 1))
    x = kind.layers.Conv2D(4, 3)(inputs)
    x = 1.0 - x * tf.nn.relu6(x + 3.0) * (1 / 6)
    x = tf.concat([x[:, ::2], tf.math.tanh(x[:, 1::2])], axis=-1)
    x = tf.squeeze(tf.expand_dims(tf.reduce_mean(x, axis=[1, 2]), 1), 1)
    model = kind.Model(inputs, kind.layers.Dense(10)(x))
    loaded = load_model(_saved(model, tmp_path / "net.h5"), notify=_quiet)
    assert loaded.framework == "tf_keras"
    np.testing.assert_array_equal(np.asarray(loaded.model(pictures)), np.asarray(model(pictures)))


@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_a_final_softmax_that_is_a_function_is_cut_off(
    framework: str, keras: Any, pictures: np.ndarray, tmp_path: Path
) -> None:
    kind = keras if framework == "keras" else tf_keras()
    inputs = kind.Input((28, 28, 1))
    logits = kind.layers.Dense(10, name="last")(kind.layers.Flatten()(inputs))
    softmax = keras.ops.softmax if framework == "keras" else tensorflow().nn.softmax
    plain, model = kind.Model(inputs, logits), kind.Model(inputs, softmax(logits))
    loaded = load_model(_saved(model, tmp_path / "net.h5"), notify=_quiet)
    assert any("final softmax" in note for note in loaded.notes)
    np.testing.assert_array_equal(
        np.asarray(loaded.model(pictures, training=False)), np.asarray(plain(pictures, training=False))
    )


def test_a_function_at_the_end_that_no_logits_can_be_had_from(keras: Any, tmp_path: Path) -> None:
    inputs = keras.Input((28, 28, 1))
    x = keras.ops.tanh(keras.layers.Dense(10)(keras.layers.Flatten()(inputs)))
    path = _saved(keras.Model(inputs, x), tmp_path / "net.keras")
    with pytest.raises(UnsupportedError, match="found tanh"):
        load_model(path, notify=_quiet)


def test_operations_are_in_the_table_and_until_ends_at_one(
    keras: Any, pictures: np.ndarray, tmp_path: Path
) -> None:
    layers = keras.layers
    inner_in = layers.Input((26, 26, 4))
    inner = keras.Model(inner_in, keras.ops.relu(inner_in - 1.0), name="inner")
    model = _model(keras, lambda k, x: inner(x + 3.0))
    path = _saved(model, tmp_path / "net.keras")
    loaded = load_model(path, notify=_quiet)
    kinds = [row.kind for row in layer_rows(loaded.model)]
    assert [kind for kind in kinds if kind in {"Add", "Subtract", "Relu"}] == ["Add", "Subtract", "Relu"]
    assert "Subtract" in summary(loaded.model)
    name = next(part.name for part in leaves(model) if type(part).__name__ == "Add")
    part = load_model(path, notify=_quiet, until=name)
    expected = np.asarray(model.get_layer("conv")(pictures)) + 3
    np.testing.assert_array_equal(np.asarray(part.model(pictures)), expected.reshape(len(pictures), -1))


def test_operations_open_scopes_of_their_names_only_while_asked(keras: Any, tmp_path: Path) -> None:
    tf = tensorflow()
    model = _model(keras, _hard_swish)
    (first, *_) = (part for part in leaves(model) if is_operation(part))

    def names() -> str:
        stream = io.StringIO()
        graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(
            tf.TensorSpec((1, 28, 28, 1))
        )
        stream.write(" ".join(op.name for op in graph.graph.get_operations()))
        return stream.getvalue()

    first.name = "mxlayer00007"
    with scoped_operations(model) as found:
        assert first in found and len(found) == 4
        assert "mxlayer00007/" in names()
    assert "mxlayer00007/" not in names()
    assert "call" not in vars(first)
