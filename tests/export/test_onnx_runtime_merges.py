"""Maxima over maps padded with zeros, and dense layers at each pixel, as ONNX Runtime computes them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest

from mnist_export.core.kinds import IoType
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.models.structure.engine import tensorflow
from mnist_export.quantize.lowering import lower


def _both(body):
    """The ONNX file's operators, its logits with all of ONNX Runtime's optimizations, and Keras's."""
    tensorflow()
    import keras
    import onnxruntime

    keras.utils.set_random_seed(4)
    inputs = keras.Input((9, 7, 3))
    x = keras.layers.Conv2D(4, 1, bias_initializer=keras.initializers.Constant(-5.0))(inputs)
    x = keras.layers.Flatten()(body(keras.layers, x))
    model = keras.Model(inputs, keras.layers.Dense(5)(x))
    content = write_onnx(lower(model, (9, 7, 3)), io=IoType.FLOAT32)
    images = np.random.default_rng(2).random((6, 9, 7, 3), np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: images})
    kinds = Counter(node.op_type for node in onnx.load_from_string(content).graph.node)
    return kinds, logits, np.asarray(model(images, training=False))


@pytest.mark.parametrize("padding", [1, ((1, 0), (0, 1)), ((0, 2), (2, 1)), 4])
@pytest.mark.parametrize("strides", [1, 2])
def test_zeros_around_negative_values_are_the_maximum(padding, strides):
    _, logits, expected = _both(
        lambda layers, x: layers.MaxPooling2D(3, strides)(layers.ZeroPadding2D(padding)(x))
    )
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


def test_a_dense_layer_at_each_pixel():
    kinds, logits, expected = _both(lambda layers, x: layers.Dense(6, activation="relu")(x))
    assert kinds["Conv"] == 2
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)
