"""A pixel rule as the first layer of a model that is trained in int8: a 1x1 convolution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mnist_export.core.pixel_rules import ChannelRule
from mnist_export.quantize.entering import LAYER


def with_rule_layer(model: Any, rule: ChannelRule) -> Any:
    """Put a rule before a tf_keras model.

    Args:
        model: takes what the rule gives, of shape (height, width, channels) or flattened so.
        rule: see `core.pixel_rules`.

    Returns:
        A tf_keras model that takes pixels / 255 of the same shape.
    """
    import tf_keras

    shape = tuple(model.input_shape[1:])
    rule = rule.of_channels(shape[2] if len(shape) == 3 else len(rule.scale))
    channels = len(rule.scale)
    kernel = np.zeros((1, 1, channels, channels), np.float32)
    for place, (scale, source) in enumerate(zip(rule.scale, rule.order, strict=True)):
        kernel[0, 0, source, place] = 255 * scale
    layer = tf_keras.layers.Conv2D(channels, 1, name=LAYER, trainable=False)
    entry = tf_keras.Input(shape=shape, name="image")
    if len(shape) == 3:
        x = layer(entry)
    else:
        wide = (1, math.prod(shape) // channels, channels)
        x = tf_keras.layers.Reshape(wide, name=f"{LAYER}_picture")(entry)
        x = tf_keras.layers.Reshape(shape, name=f"{LAYER}_x")(layer(x))
    layer.set_weights([kernel, np.array(rule.shift, np.float32)])
    return tf_keras.Model(entry, model(x), name=model.name)
