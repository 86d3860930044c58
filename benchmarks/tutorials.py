"""Vision classifiers that tutorials build, at the tutorials' sizes, from Keras's layers and operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CLASSES = 10


def _perceptron(x: Any, width: int, out: int) -> Any:
    from keras import layers

    return layers.Dense(out)(layers.Dense(width, activation="gelu")(x))


def _attended(x: Any, heads: int, width: int) -> Any:
    """A transformer's block: attention, then two dense layers, each normalized before and with a shortcut."""
    from keras import layers

    size = x.shape[-1]
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.MultiHeadAttention(heads, size // heads)(y, y)
    x = layers.Add()([x, y])
    y = layers.LayerNormalization(epsilon=1e-6)(x)
    return layers.Add()([x, _perceptron(y, width, size)])


def _positions(x: Any) -> Any:
    """Adds a learned vector by place."""
    from keras import layers, ops

    places = ops.expand_dims(ops.arange(x.shape[1]), 0)
    return x + layers.Embedding(x.shape[1], x.shape[2])(places)


def convmixer() -> Any:
    """Trockman and Kolter, 2022; keras.io: filters 256, depth 8, kernel 5, patches of 2."""
    import keras
    from keras import layers

    def settled(y: Any) -> Any:
        return layers.BatchNormalization()(layers.Activation("gelu")(y))

    image = layers.Input((32, 32, 3))
    x = settled(layers.Conv2D(256, 2, strides=2)(layers.Rescaling(1 / 255)(image)))
    for _ in range(8):
        x = layers.Add()([settled(layers.DepthwiseConv2D(5, padding="same")(x)), x])
        x = settled(layers.Conv2D(256, 1)(x))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="head")(x), name="ConvMixer")


def mlp_mixer() -> Any:
    """Tolstikhin et al., 2021; keras.io: pictures of 64, patches of 8, four blocks of 256."""
    import keras
    from keras import layers

    image = layers.Input((64, 64, 3))
    x = layers.Conv2D(256, 8, strides=8)(layers.Rescaling(1 / 255)(image))
    x = layers.Reshape((64, 256))(x)
    for _ in range(4):
        y = layers.Permute((2, 1))(layers.LayerNormalization(epsilon=1e-6)(x))
        x = layers.Add()([x, layers.Permute((2, 1))(_perceptron(y, 256, 64))])
        x = layers.Add()([x, _perceptron(layers.LayerNormalization(epsilon=1e-6)(x), 256, 256)])
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="head")(x), name="MLPMixer")


def compact_transformer() -> Any:
    """Hassani et al., 2021; keras.io: two convolutions make tokens, two blocks, pooled by attention."""
    import keras
    from keras import layers, ops

    image = layers.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(image)
    for filters in (64, 128):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", use_bias=False)(x)
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = _positions(layers.Reshape((64, 128))(x))
    for _ in range(2):
        x = _attended(x, 2, 128)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    weights = ops.softmax(layers.Dense(1)(x), axis=1)
    x = layers.Flatten()(ops.matmul(ops.transpose(weights, (0, 2, 1)), x))
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="head")(x), name="CCT")


def vision_transformer() -> Any:
    """Dosovitskiy et al., 2021; keras.io: pictures of 72, patches of 6, eight blocks of 64."""
    import keras
    from keras import layers

    image = layers.Input((72, 72, 3))
    x = layers.Conv2D(64, 6, strides=6)(layers.Rescaling(1 / 255)(image))
    x = _positions(layers.Reshape((144, 64))(x))
    for _ in range(8):
        x = _attended(x, 4, 128)
    x = layers.Flatten()(layers.LayerNormalization(epsilon=1e-6)(x))
    x = layers.Dense(256, activation="gelu")(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="head")(x), name="ViT")


def windows() -> Any:
    """Liu et al., 2021 (Swin), after keras.io: attention within windows, every other one shifted."""
    import keras
    from keras import layers, ops

    side, window, width = 16, 4, 64
    image = layers.Input((32, 32, 3))
    x = layers.Conv2D(width, 2, strides=2)(layers.Rescaling(1 / 255)(image))
    for shift in (0, 2):
        y = ops.roll(x, (-shift, -shift), axis=(1, 2)) if shift else x
        y = ops.reshape(y, (-1, side // window, window, side // window, window, width))
        y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, window * window, width))
        y = _attended(y, 4, 128)
        y = ops.reshape(y, (-1, side // window, side // window, window, window, width))
        y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, side, side, width))
        y = ops.roll(y, (shift, shift), axis=(1, 2)) if shift else y
        x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling2D()(layers.LayerNormalization(epsilon=1e-5)(x))
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="head")(x), name="Windows")


def involution() -> Any:
    """Li et al., 2021; keras.io: each place makes the kernel that it is read with."""
    import keras
    from keras import layers, ops

    image = layers.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    for _ in range(2):
        size, channels = x.shape[1], x.shape[3]
        kernel = layers.Conv2D(channels // 4, 1)(x)
        kernel = layers.ReLU()(layers.BatchNormalization()(kernel))
        kernel = ops.reshape(layers.Conv2D(9, 1)(kernel), (-1, size, size, 9, 1))
        around = ops.image.extract_patches(x, 3, strides=1, padding="same")
        around = ops.reshape(around, (-1, size, size, 9, channels))
        x = layers.MaxPooling2D()(layers.ReLU()(ops.sum(kernel * around, axis=3)))
    x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="head")(x), name="Involution")


def squeeze_and_excitation() -> Any:
    """Hu et al., 2018: a residual network whose channels are weighed by what they hold."""
    import keras
    from keras import layers

    image = layers.Input((32, 32, 3))
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    for filters, strides in ((32, 1), (64, 2), (128, 2)):
        y = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
        gate = layers.Dense(filters // 8, activation="relu")(layers.GlobalAveragePooling2D()(y))
        gate = layers.Reshape((1, 1, filters))(layers.Dense(filters, activation="sigmoid")(gate))
        if strides > 1:
            x = layers.Conv2D(filters, 1, strides=strides)(x)
        x = layers.ReLU()(layers.Add()([x, layers.Multiply()([y, gate])]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="head")(x), name="SENet")


def mobilevit() -> Any:
    """Mehta and Rastegari, 2022; keras.io: the smallest, pictures of 256 in patches of 4."""
    import keras
    from keras import layers, ops

    def convolved(y: Any, filters: int = 16, kernel: int = 3, strides: int = 2) -> Any:
        return layers.Conv2D(filters, kernel, strides=strides, activation="swish", padding="same")(y)

    def inverted(y: Any, expanded: int, out: int, strides: int = 1) -> Any:
        z = layers.Activation("swish")(
            layers.BatchNormalization()(layers.Conv2D(expanded, 1, padding="same", use_bias=False)(y))
        )
        z = layers.DepthwiseConv2D(3, strides=strides, padding="same", use_bias=False)(z)
        z = layers.Activation("swish")(layers.BatchNormalization()(z))
        z = layers.BatchNormalization()(layers.Conv2D(out, 1, padding="same", use_bias=False)(z))
        return layers.Add()([y, z]) if y.shape[-1] == out and strides == 1 else z

    def block(y: Any, count: int, width: int) -> Any:
        local = convolved(convolved(y, width, strides=1), width, 1, 1)
        side = local.shape[1]
        z = ops.reshape(local, (-1, side * side // 4, 4, width))
        z = ops.reshape(ops.transpose(z, (0, 2, 1, 3)), (-1, side * side // 4, width))
        for _ in range(count):
            z = _attended(z, 2, 2 * width)
        z = ops.transpose(ops.reshape(z, (-1, 4, side * side // 4, width)), (0, 2, 1, 3))
        z = convolved(ops.reshape(z, (-1, side, side, width)), y.shape[-1], 1, 1)
        return convolved(layers.Concatenate()([y, z]), width, 3, 1)

    image = layers.Input((256, 256, 3))
    x = convolved(layers.Rescaling(1 / 255)(image))
    x = inverted(x, 32, 16)
    x = inverted(inverted(inverted(x, 32, 24, 2), 48, 24), 48, 24)
    x = block(inverted(x, 48, 48, 2), 2, 64)
    x = block(inverted(x, 128, 64, 2), 4, 80)
    x = block(inverted(x, 160, 80, 2), 3, 96)
    x = layers.GlobalAveragePooling2D()(convolved(x, 320, 1, 1))
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="head")(x), name="MobileViT")


TUTORIALS: dict[str, Callable[[], Any]] = {
    "ConvMixer": convmixer,
    "MLP-Mixer": mlp_mixer,
    "CompactTransformer": compact_transformer,
    "ViT": vision_transformer,
    "SwinWindows": windows,
    "Involution": involution,
    "SqueezeExcitation": squeeze_and_excitation,
    "MobileViT": mobilevit,
}
"""Name to what builds it; each takes pixels from 0 to 255."""
