"""Layers that classifiers are built of: the float files of a small Keras model give Keras's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import IoType
from mnist_export.export.onnx_writer import write_onnx

MAP, ROWS, VECTOR = (8, 12, 6), (10, 8), (12,)


def _attention(x: Any) -> Any:
    from keras import layers

    return layers.MultiHeadAttention(2, 4)(x, x)


def _windows(x: Any) -> Any:
    """Swin's windows: every 4x4 pixels are rows of their own, which take part in attention."""
    from keras import layers, ops

    x = ops.reshape(x, (-1, 2, 4, 3, 4, 6))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 16, 6))
    x = layers.MultiHeadAttention(2, 4)(x, x)
    x = ops.transpose(ops.reshape(x, (-1, 2, 3, 4, 4, 6)), (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, 8, 12, 6))


def _joint_windows(x: Any) -> Any:
    """Swin's windows as keras.io has them: queries, keys and values are one tensor, put before the batch."""
    from keras import layers, ops

    x = ops.reshape(x, (-1, 2, 4, 3, 4, 6))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 16, 6))
    joint = ops.transpose(ops.reshape(layers.Dense(24)(x), (-1, 16, 3, 2, 4)), (2, 0, 3, 1, 4))
    weights = ops.softmax(ops.matmul(joint[0] * 0.5, ops.transpose(joint[1], (0, 1, 3, 2))))
    x = layers.Dense(6)(ops.reshape(ops.transpose(ops.matmul(weights, joint[2]), (0, 2, 1, 3)), (-1, 16, 8)))
    x = ops.transpose(ops.reshape(x, (-1, 2, 3, 4, 4, 6)), (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, 8, 12, 6))


def _token(x: Any) -> Any:
    """A class token that a layer of its own broadcasts to the batch."""
    import tensorflow as tf
    from keras import layers

    class Token(layers.Layer):
        def build(self, shape: Any) -> None:
            self.token = self.add_weight(shape=(1, 1, 4), initializer="ones", name="token")

        def call(self, x: Any) -> Any:
            return tf.concat([tf.broadcast_to(self.token, (tf.shape(x)[0], 1, 4)), x], axis=1)

    return Token()(layers.Reshape((3, 4))(x))


def cases() -> dict[str, tuple[tuple[int, ...], dict[str, Callable[[Any], Any]]]]:
    """All layers by name, in groups of one input shape."""
    from keras import activations, layers, ops

    def positive(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: function(ops.exp(x) + 0.1)

    maps = {
        "resize bilinear": layers.Resizing(5, 17),
        "shrinking bilinear": layers.Resizing(4, 3),
        "resize nearest": layers.Resizing(5, 17, interpolation="nearest"),
        "upsampling nearest": layers.UpSampling2D((2, 3)),
        "upsampling bilinear": layers.UpSampling2D(2, interpolation="bilinear"),
        "transposed same": layers.Conv2DTranspose(5, 3, strides=2, padding="same", activation="relu"),
        "transposed valid": layers.Conv2DTranspose(5, 4, strides=3),
        "transposed stride 1": layers.Conv2DTranspose(5, 3, use_bias=False),
        "transposed output padding": layers.Conv2DTranspose(5, 3, strides=2, output_padding=1),
        "dilated": layers.Conv2D(5, 3, dilation_rate=2, padding="same"),
        "dilated valid": layers.Conv2D(5, 3, dilation_rate=(2, 3)),
        "dilated depthwise": layers.DepthwiseConv2D(3, dilation_rate=2, padding="same"),
        "grouped": layers.Conv2D(6, 3, groups=3, padding="same"),
        "separable": layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2),
        "dense over a map": layers.Dense(5, activation="gelu"),
        "mean of everything but channels": layers.GlobalAveragePooling2D(keepdims=True),
        "maximum kept": layers.GlobalMaxPooling2D(keepdims=True),
        "layer norm": layers.LayerNormalization(),
        "layer norm over two": layers.LayerNormalization(axis=[2, 3]),
        "layer norm over map": layers.LayerNormalization(axis=[1, 2, 3]),
        "rms norm": layers.RMSNormalization(),
        "group norm": layers.GroupNormalization(3),
        "instance norm": layers.GroupNormalization(groups=-1),
        "unit norm": layers.UnitNormalization(),
        "softmax over channels": layers.Softmax(),
        "softmax over rows": layers.Softmax(axis=1),
        "softmax over pixels": layers.Softmax(axis=[1, 2]),
        "permute": layers.Permute((3, 1, 2)),
        "prelu": layers.PReLU(alpha_initializer="uniform"),
        "prelu shared": layers.PReLU(alpha_initializer="uniform", shared_axes=[1, 2]),
        "leaky relu": layers.LeakyReLU(0.2),
        "elu": layers.ELU(0.7),
        "relu bounded": layers.ReLU(max_value=2.5, negative_slope=0.1, threshold=0.2),
        "crop": layers.Cropping2D(((1, 2), (0, 3))),
        "center crop": layers.CenterCrop(4, 6),
        "zero padding": layers.ZeroPadding2D(((1, 2), (0, 3))),
        "average same": layers.AveragePooling2D(3, strides=2, padding="same"),
        "maximum same": layers.MaxPooling2D(3, strides=2, padding="same"),
        "space to depth": lambda x: ops.reshape(
            ops.transpose(ops.reshape(x, (-1, 4, 2, 6, 2, 6)), (0, 1, 3, 2, 4, 5)), (-1, 4, 6, 24)
        ),
        "depth to space": lambda x: ops.reshape(
            ops.transpose(ops.reshape(x, (-1, 8, 12, 2, 3)), (0, 1, 4, 2, 3)), (-1, 24, 12, 2)
        ),
        "mean channels": lambda x: ops.mean(x, axis=-1, keepdims=True),
        "max channels": lambda x: ops.max(x, axis=-1, keepdims=True),
        "min rows": lambda x: ops.min(x, axis=1),
        "sum": lambda x: ops.sum(x, axis=(1, 3)),
        "mean over channels": lambda x: x * ops.mean(x, axis=-1, keepdims=True),
        "prod": lambda x: ops.prod(x, axis=2),
        "mean rows": lambda x: ops.mean(x, axis=2),
        "variance": lambda x: ops.var(x, axis=(1, 2)),
        "standard deviation": lambda x: ops.std(x, axis=-1),
        "log sum exp": lambda x: ops.logsumexp(x, axis=-1),
        "norm": lambda x: ops.norm(x, axis=-1),
        "gate": lambda x: x * ops.sigmoid(ops.mean(x, axis=(1, 2), keepdims=True)),
        "spatial gate": lambda x: x * ops.sigmoid(ops.mean(x, axis=3, keepdims=True)),
        "gate of a vector": lambda x: (
            x * layers.Reshape((1, 1, 6))(layers.Dense(6)(ops.mean(x, axis=(1, 2))))
        ),
        "take a channel": lambda x: x[..., 2],
        "channels backwards": lambda x: x[..., ::-1],
        "every other pixel": lambda x: x[:, 1::2, ::3],
        "new axis": lambda x: x[:, None, 2],
        "split": lambda x: ops.concatenate(ops.split(x, 3, axis=-1)[::-1], axis=-1),
        "uneven split": lambda x: ops.concatenate(ops.split(x, [1, 4], axis=2)[::-1], axis=2),
        "shuffle channels": lambda x: ops.reshape(
            ops.transpose(ops.reshape(x, (-1, 8, 12, 2, 3)), (0, 1, 2, 4, 3)), (-1, 8, 12, 6)
        ),
        "stack": lambda x: ops.stack([x, x * 2], axis=2),
        "stack channels": lambda x: ops.stack([x[..., 2], x[..., 0]], axis=-1),
        "unstack": lambda x: ops.add(*ops.unstack(x[:, :2], axis=1)),
        "take": lambda x: ops.take(x, [3, 0, 2], axis=3),
        "tile": lambda x: ops.tile(x, (1, 2, 1, 3)),
        "repeat": lambda x: ops.repeat(x, 2, axis=2),
        "roll": lambda x: ops.roll(x, (1, -2), axis=(1, 2)),
        "flip": lambda x: ops.flip(x, axis=1),
        "pad reflect": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)), mode="reflect"),
        "pad symmetric": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)), mode="symmetric"),
        "pad value": lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 3), (1, 0)), constant_values=0.7),
        "pad channels": lambda x: ops.pad(x, ((0, 0), (0, 0), (0, 0), (1, 2))),
        "windows": _windows,
        "joint windows": _joint_windows,
        "broadcast": lambda x: ops.broadcast_to(x[:, :1], (13, 8, 12, 6)) if x.shape[0] else x[:, :1] + x * 0,
        "cumulative sum": lambda x: ops.cumsum(x, axis=2),
        "where": lambda x: ops.where(x > 0.2, x, ops.sin(x) - 1),
        "logical": lambda x: ops.where(ops.logical_and(x > -0.5, ops.logical_not(x > 0.2)), x, 0.1),
        "equal": lambda x: ops.where(ops.equal(ops.floor(x), 0.0), 1.0, x),
        "clip": lambda x: ops.clip(x, -0.3, 0.6),
        "maximum of two": lambda x: ops.maximum(x, ops.minimum(-x, 0.3)),
        "divide": lambda x: x / (ops.abs(x) + 1),
        "one over": lambda x: 1.0 / (ops.square(x) + 0.5),
        "power": positive(lambda x: x**1.7),
        "squared difference": lambda x: ops.square(x - ops.mean(x, axis=-1, keepdims=True)),
        "dot of two maps": lambda x: layers.Dot(axes=2)(
            [layers.Reshape((96, 6))(x), layers.Reshape((96, 6))(x * 2)]
        ),
        "einsum": lambda x: ops.einsum("bhwc,bhvc->bhwv", x, x),
        "involution": lambda x: ops.sum(
            ops.reshape(x, (-1, 8, 12, 1, 6)) * ops.reshape(layers.Dense(3)(x), (-1, 8, 12, 3, 1)), axis=3
        ),
        "extract patches": lambda x: ops.image.extract_patches(x, 3, strides=2, padding="same"),
        "normalize": lambda x: ops.normalize(x, axis=-1),
    }
    unary = {
        name: layers.Activation(name)
        for name in [
            "relu",
            "relu6",
            "softmax",
            "sigmoid",
            "tanh",
            "elu",
            "selu",
            "softplus",
            "softsign",
            "silu",
            "gelu",
            "exponential",
            "hard_sigmoid",
            "hard_silu",
            "leaky_relu",
            "log_softmax",
            "mish",
            "celu",
            "log_sigmoid",
            "hard_tanh",
            "tanh_shrink",
            "hard_shrink",
            "soft_shrink",
            "squareplus",
        ]
        if hasattr(activations, name)
    }
    unary |= {
        "gelu by tanh": lambda x: ops.gelu(x, approximate=True),
        "gelu exact": lambda x: ops.gelu(x, approximate=False),
        "glu": ops.glu,
        "expm1": ops.expm1, "abs": ops.abs, "neg": ops.negative, "square": ops.square, "sin": ops.sin,
        "cos": ops.cos, "sign": ops.sign, "round": ops.round, "floor": ops.floor, "ceil": ops.ceil,
        "log": positive(ops.log), "log1p": positive(ops.log1p), "sqrt": positive(ops.sqrt),
        "rsqrt": positive(ops.rsqrt), "reciprocal": positive(ops.reciprocal),
    }  # fmt: skip
    rows = {
        "conv 1d": layers.Conv1D(5, 3, activation="relu"),
        "conv 1d causal": layers.Conv1D(5, 3, padding="causal", dilation_rate=2),
        "conv 1d stride": layers.Conv1D(5, 3, strides=2, padding="same"),
        "depthwise 1d": layers.DepthwiseConv1D(3, padding="same"),
        "separable 1d": layers.SeparableConv1D(5, 3),
        "transposed 1d": layers.Conv1DTranspose(5, 3, strides=2, padding="same"),
        "max 1d": layers.MaxPooling1D(3, padding="same"),
        "average 1d": layers.AveragePooling1D(2),
        "average 1d same": layers.AveragePooling1D(3, strides=2, padding="same"),
        "global average 1d": layers.GlobalAveragePooling1D(),
        "global max 1d": layers.GlobalMaxPooling1D(),
        "upsampling 1d": layers.UpSampling1D(2),
        "crop 1d": layers.Cropping1D((1, 2)),
        "pad 1d": layers.ZeroPadding1D((1, 2)),
        "dense over rows": layers.Dense(5),
        "dense tanh": layers.Dense(5, activation="tanh"),
        "permute rows": layers.Permute((2, 1)),
        "mixer": lambda x: layers.Permute((2, 1))(
            layers.Dense(7, activation="gelu")(layers.Permute((2, 1))(x))
        ),
        "attention": _attention,
        "grouped attention": lambda x: layers.GroupQueryAttention(4, 4, 2)(x, x),
        "dot attention": lambda x: layers.Attention()([x, x]),
        "additive attention": lambda x: layers.AdditiveAttention()([x, x]),
        "layer norm rows": layers.LayerNormalization(),
        "batch norm rows": layers.BatchNormalization(),
        "class token": lambda x: ops.concatenate([x[:, :1] * 0 + 0.3, x], axis=1)[:, 0],
        "positions": lambda x: x + layers.Embedding(10, 8)(ops.arange(10)),
        "lstm unrolled": layers.LSTM(5, unroll=True),
        "lstm sequence": layers.LSTM(5, unroll=True, return_sequences=True),
        "gru unrolled": layers.GRU(5, unroll=True),
        "gru before": layers.GRU(5, unroll=True, reset_after=False),
        "bidirectional": layers.Bidirectional(layers.LSTM(3, unroll=True, return_sequences=True)),
        "simple rnn": layers.SimpleRNN(5, unroll=True),
        "time distributed": layers.TimeDistributed(layers.Dense(4, activation="relu")),
        "weighted pool": lambda x: ops.squeeze(
            ops.matmul(ops.transpose(ops.softmax(layers.Dense(1)(x), axis=1), (0, 2, 1)), x), axis=1
        ),
    }
    vectors = {
        "learned token": _token,
        "repeat vector": layers.RepeatVector(3),
        "reshape to map": layers.Reshape((2, 3, 2)),
        "expand": lambda x: ops.expand_dims(x, 1),
        "maxout": lambda x: ops.max(ops.reshape(x, (-1, 4, 3)), axis=-1),
        "dense prelu": lambda x: layers.PReLU(alpha_initializer="uniform")(layers.Dense(5)(x)),
    }
    return {
        "maps": (MAP, maps),
        "functions": (MAP, unary),
        "rows": (ROWS, rows),
        "vectors": (VECTOR, vectors),
    }


def _built(shape: tuple[int, ...], layer: Callable[[Any], Any], rng: np.random.Generator) -> Any:
    import keras

    entry = keras.Input(shape)
    model = keras.Model(entry, layer(entry))
    for weight in model.weights:
        if "seed" not in weight.path:
            noise = rng.normal(0.0, 0.2, weight.shape).astype(np.float32)
            weight.assign(weight.numpy() + (np.abs(noise) if "variance" in weight.path else noise))
    return model


def _litert(graph: Any, x: np.ndarray) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=write_tflite(graph))
    entry = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(entry, x.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry, x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("group", ["maps", "functions", "rows", "vectors"])
def test_float_files_of_a_layer_give_the_answers_of_keras(group, onnxruntime_run):
    """Three images through files that were made for any number; within 1e-4 of Keras's values of about 1."""
    from mnist_export.models.structure.engine import tensorflow
    from mnist_export.quantize.lowering import lower

    tensorflow()
    shape, layers = cases()[group]
    wrong = []
    for name, layer in layers.items():
        rng = np.random.default_rng(0)
        model = _built(shape, layer, rng)
        x = rng.normal(0.0, 1.0, (3, *shape)).astype(np.float32)
        wanted = np.asarray(model(x, training=False))
        graph = lower(model, shape)
        found = {
            "tflite": _litert(graph, x),
            "onnx": onnxruntime_run(write_onnx(graph, io=IoType.FLOAT32), x),
            "onnx, opset 13": onnxruntime_run(write_onnx(graph, io=IoType.FLOAT32, opset=13), x),
            "onnx, opset 21": onnxruntime_run(write_onnx(graph, io=IoType.FLOAT32, opset=21), x),
        }
        for kind, values in found.items():
            if values.shape != wanted.shape or not np.abs(values - wanted).max() <= 1e-4:
                wrong.append((name, kind))
    assert not wrong


INTEGERS = (
    """
transposed same|transposed valid|transposed output padding|upsampling nearest|resize nearest|split
uneven split|stack|stack channels|unstack|take|take a channel|channels backwards|new axis|tile|roll|flip
resize bilinear|upsampling bilinear|shrinking bilinear|global average 1d|global max 1d
sum|mean over channels|involution
pad reflect|pad symmetric|pad value|min rows|softmax over rows|gelu|mish|softplus|selu|soft_shrink|log1p
dense over a map|mixer|conv 1d causal|transposed 1d|upsampling 1d|lstm unrolled|gru unrolled
time distributed|bidirectional|learned token|class token|repeat vector
""".replace("\n", "|")
    .strip("|")
    .split("|")
)
"""Layers that are integers as a whole."""

PARTLY = [
    "layer norm",
    "group norm",
    "attention",
    "windows",
    "joint windows",
    "unit norm",
    "dot of two maps",
]
"""Layers whose sums stay in float between codes."""


def _in_int8(shape: tuple[int, ...], layer: Callable[[Any], Any], images: np.ndarray) -> Any:
    """A network of one layer between two with weights, quantized as the command does it."""
    from keras import layers

    from mnist_export.core.kinds import Precision
    from mnist_export.core.pixels import InputRange
    from mnist_export.quantize import SchemeConfig, quantize
    from mnist_export.quantize.lowering import lower
    from mnist_export.quantize.post_training.in_float import layers_without_integers
    from mnist_export.quantize.rewrites import prepare

    def network(x: Any) -> Any:
        first = layers.Conv2D(shape[-1], 1) if len(shape) == 3 else layers.Dense(shape[-1])
        x = layer(first(x))
        return layers.Dense(4)(layers.Flatten()(x) if len(x.shape) > 2 else x)

    model = _built(shape, network, np.random.default_rng(0))
    graph, _ = prepare(lower(model, shape), Precision.INT8)
    kept = layers_without_integers(graph)
    pixels = InputRange(lo=-1, hi=1)
    made = quantize(graph, SchemeConfig(input_range=pixels, keep_float=kept), images)
    return made, kept, np.asarray(model(pixels.to_real(images), training=False))


@pytest.mark.parametrize("names", [INTEGERS[0::2], INTEGERS[1::2], PARTLY], ids=["even", "odd", "partly"])
def test_both_int8_files_of_a_layer_hold_the_same_integers(names, onnxruntime_run):
    """Integers are equal bit for bit; where sums stay in float, a tie may be rounded another way."""
    from mnist_export.models.structure.engine import tensorflow

    tensorflow().keras.utils.set_random_seed(3)
    wrong = []
    known = {name: (shape, layer) for shape, group in cases().values() for name, layer in group.items()}
    for name in names:
        shape, layer = known[name]
        images = np.random.default_rng(1).integers(0, 256, (40, *shape)).astype(np.uint8)
        made, kept, wanted = _in_int8(shape, layer, images)
        codes = _litert(made.graph, (images.astype(np.int16) - 128).astype(np.int8)).astype(int) + 128
        others = onnxruntime_run(write_onnx(made.graph, io=IoType.UINT8), images).astype(int)
        quant = made.output_quant
        real = (codes - 128 - int(quant.zero_point[0])) * float(quant.scale[0])
        noise = np.square(real - wanted).sum() / np.square(wanted).sum()
        limit = 0 if name in INTEGERS else 1
        if bool(kept) != (name in PARTLY) or np.abs(codes - others).max() > limit or noise > 10**-2.5:
            wrong.append((name, kept, int(np.abs(codes - others).max()), float(noise)))
    assert not wrong
