"""Graphs of any batch, whatever the sizes of the maps."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.errors import ConversionError
from mnist_export.quantize.lowering import lower


def small_maps():
    """Maps of 1x1 that are added, multiplied and joined, as large networks have them at small images."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    entry = keras.Input((4, 4, 2))
    x = layers.Conv2D(6, 4, activation="relu", name="to_one_pixel")(entry)
    y = layers.Conv2D(6, 1, name="branch")(x)
    x = layers.Add(name="sum")([x, y])
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    x = layers.Multiply(name="gated")([x, layers.Conv2D(6, 1, activation="sigmoid", name="gate")(gate)])
    x = layers.Concatenate(name="both")([x, y])
    return keras.Model(entry, layers.Dense(3, name="answer")(layers.Flatten(name="flat")(x)))


def test_maps_of_one_pixel_keep_their_batch(litert):
    model = small_maps()
    graph = lower(model, (4, 4, 2))
    images = np.random.default_rng(0).random((5, 4, 4, 2), dtype=np.float32)

    assert {graph.tensors[i].shape[0] for i in graph.activations()} == {-1}
    np.testing.assert_allclose(litert(graph, images), np.asarray(model(images)), atol=1e-5)


def test_a_layer_that_mixes_images_is_named():
    import keras

    entry = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(2, 3, name="first")(entry)
    x = keras.ops.mean(x, axis=0, keepdims=True)
    model = keras.Model(entry, keras.layers.Dense(3)(keras.layers.Flatten()(x)))

    with pytest.raises(ConversionError, match=r"'mean(_\d+)?'.*one row an image, found the shape \(1, "):
        lower(model, (4, 4, 1))


def test_operations_between_layers_have_names_and_take_any_number_of_images(litert):
    import keras

    keras.utils.set_random_seed(3)
    entry = keras.Input((8, 8, 2))
    x = keras.layers.Conv2D(4, 3, activation="hard_silu", name="first")(entry)
    x = keras.ops.exp(x[:, ::2, 1:])
    model = keras.Model(entry, keras.layers.Dense(3)(keras.layers.Flatten(name="flat")(x)))
    names = [
        operation.name for operation in model.operations if "keras.src.ops" in type(operation).__module__
    ]
    graph = lower(model, (8, 8, 2))
    images = np.random.default_rng(0).random((5, 8, 8, 2), dtype=np.float32)

    found = [graph.tensors[op.outputs[0]].name for op in graph.ops]
    assert found == ["first", "first/hard_swish", *names, "flat", "logits"]
    np.testing.assert_allclose(litert(graph, images), np.asarray(model(images)), atol=1e-5)
