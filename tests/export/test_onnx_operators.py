"""Each operator in ONNX Runtime and LiteRT: the same integers, or the same function in float."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.kinds import IoType
from mnist_export.export.onnx_ops import EMITTERS
from mnist_export.export.onnx_writer import write_onnx

POOL = {"filterHeight": 3, "filterWidth": 3, "strideH": 2, "strideW": 2, "fusedActivationFunction": 0}


def unary(kind, options_type="", **options):
    def build(net, x):
        return net.op(kind, "layer", (x,), net.shape(x), options_type, **options)

    return build


def constant_operand(kind, options_type, **options):
    def build(net, x):
        values = np.linspace(-0.5, 0.8, net.shape(x)[2])
        return net.op(kind, "layer", (x, net.constant("c", values)), net.shape(x), options_type, **options)

    return build


def residual(net, x):
    return net.add(net.conv(x, net.shape(x)[2], act=0, name="branch"), x, act=1)


def two_branches(kind, options_type, **options):
    def build(net, x):
        other = net.conv(x, net.shape(x)[2], act=0, name="branch")
        return net.op(kind, "layer", (x, other), net.shape(x), options_type, **options)

    return build


def sizes(kind, shape, options_type="", **options):
    def build(net, x):
        target = net.constant("sizes", [-1, *shape], np.int32)
        return net.op(kind, "layer", (x, target), shape, options_type, **options)

    return build


def sloped(net, x):
    slopes = net.constant("slopes", [0.1, 0.3, -0.2, 1.5])
    return net.op("PRELU", "layer", (x, slopes), net.shape(x))


def of_positive(kind):
    def build(net, x):
        positive = net.op("EXP", "positive", (x,), net.shape(x))
        return net.op(kind, "layer", (positive,), net.shape(x))

    return build


def cropped(net, x):
    """``x[:, 1:8:2, :-1]``, and all channels."""
    bounds = [net.constant(n, v, np.int32) for n, v in (
        ("begin", [0, 1, 0, 0]), ("end", [0, 8, -1, 0]), ("steps", [1, 2, 1, 1])
    )]  # fmt: skip
    return net.op(
        "STRIDED_SLICE", "layer", (x, *bounds), (4, 8, net.shape(x)[2]), "StridedSliceOptions",
        beginMask=0b1001, endMask=0b1001, ellipsisMask=0, newAxisMask=0, shrinkAxisMask=0,
    )  # fmt: skip


def transposed(net, x):
    height, width, channels = net.shape(x)
    order = net.constant("order", [0, 3, 1, 2], np.int32)
    return net.op("TRANSPOSE", "layer", (x, order), (channels, height, width), "TransposeOptions")


def squared_difference(net, x):
    other = net.conv(x, net.shape(x)[2], act=0, name="branch")
    return net.op("SQUARED_DIFFERENCE", "layer", (x, other), net.shape(x))


def dense_over_a_map(net, x):
    channels = net.shape(x)[2]
    parts = [
        net.constant("w", net.rng.normal(0, 0.4, (6, channels))),
        net.constant("b", np.linspace(-1, 1, 6)),
    ]
    return net.op(
        "FULLY_CONNECTED", "layer", (x, *parts), (*net.shape(x)[:2], 6), "FullyConnectedOptions",
        fusedActivationFunction=1, weightsFormat=0, keepNumDims=True,
    )  # fmt: skip


def power(net, x):
    positive = net.op("EXP", "positive", (x,), net.shape(x))
    return net.op("POW", "layer", (positive, net.constant("c", 1.5)), net.shape(x))


def chosen(comparison, selection):
    """The value where it compares so with a constant, else another."""

    def build(net, x):
        condition = net.op(comparison, "condition", (x, net.constant("bound", 0.2)), net.shape(x))
        net.tensors[condition] = replace(net.tensors[condition], dtype=np.dtype(bool))
        other = net.op("ABS", "other", (x,), net.shape(x))
        return net.op(selection, "layer", (condition, x, other), net.shape(x))

    return build


def blocks(kind, options_type, size, shape):
    def build(net, x):
        return net.op(kind, "layer", (x,), shape, options_type, blockSize=size)

    return build


def of_either(kind):
    """1 where one comparison or the other holds, as far as ``kind`` says so."""

    def build(net, x):
        found = [
            net.op(comparison, comparison, (x, net.constant(f"{comparison} bound", bound)), net.shape(x))
            for comparison, bound in (("GREATER", 0.3), ("LESS", 0.1))
        ]
        found.append(net.op(kind, "either", tuple(found), net.shape(x)))
        for index in found:
            net.tensors[index] = replace(net.tensors[index], dtype=np.dtype(bool))
        return net.op("CAST", "layer", (found[-1],), net.shape(x), "CastOptions", inDataType=6, outDataType=0)

    return build


def extreme_place(kind, options_type):
    """Which column is largest or smallest, as a number."""

    def build(net, x):
        height, _, channels = net.shape(x)
        axis = net.constant("axis", 2, np.int32)
        place = net.op(kind, "place", (x, axis), (height, channels), options_type, outputType=2)
        net.tensors[place] = replace(net.tensors[place], dtype=np.dtype(np.int32))
        return net.op(
            "CAST", "layer", (place,), (height, channels), "CastOptions", inDataType=2, outDataType=0
        )

    return build


def different(net, x):
    """Whether a value was cut off at 0."""
    cut = net.op("RELU", "cut", (x,), net.shape(x))
    condition = net.op("NOT_EQUAL", "condition", (x, cut), net.shape(x))
    net.tensors[condition] = replace(net.tensors[condition], dtype=np.dtype(bool))
    return net.op("CAST", "layer", (condition,), net.shape(x), "CastOptions", inDataType=6, outDataType=0)


def mean_over_channels(net, x):
    axes = net.constant("axes", [3], np.int32)
    return net.op("MEAN", "layer", (x, axes), (*net.shape(x)[:2], 1), "ReducerOptions", keepDims=True)


def kept_mean(net, x):
    axes = net.constant("axes", [1, 2], np.int32)
    return net.op("MEAN", "layer", (x, axes), (1, 1, net.shape(x)[2]), "ReducerOptions", keepDims=True)


def kept_maximum(net, x):
    axes = net.constant("axes", [1, 2], np.int32)
    shape = (1, 1, net.shape(x)[2])
    return net.op("REDUCE_MAX", "layer", (x, axes), shape, "ReducerOptions", keepDims=True)


# Layers on a map of (9, 9, 4); each is followed by a flatten and a dense layer.
LAYERS = {
    "conv": lambda net, x: net.conv(x, 5),
    "global maximum": kept_maximum,
    "conv 5x5 valid": lambda net, x: net.conv(x, 5, 5, same=False),
    "conv same stride 2": lambda net, x: net.conv(x, 5, stride=2),
    "conv 4x4 same stride 2": lambda net, x: net.conv(x, 5, 4, stride=2),
    "conv dilated": lambda net, x: net.conv(x, 5, dilation=2),
    "conv relu6": lambda net, x: net.conv(x, 5, act=3),
    "conv relu -1 to 1": lambda net, x: net.conv(x, 5, act=2),
    "conv linear": lambda net, x: net.conv(x, 5, act=0),
    "depthwise": lambda net, x: net.depthwise(x, act=1),
    "depthwise multiplier 3 stride 2": lambda net, x: net.depthwise(x, 3, stride=2),
    "max pool": lambda net, x: net.pool(x),
    "max pool same": lambda net, x: net.pool(x, size=3, same=True),
    "average pool": lambda net, x: net.pool(x, "AVERAGE_POOL_2D"),
    "average pool same": lambda net, x: net.pool(x, "AVERAGE_POOL_2D", size=3, same=True),
    "mean over map": kept_mean,
    "mean over channels": mean_over_channels,
    "pad": lambda net, x: net.pad(x, 2),
    "pad then valid conv": lambda net, x: net.conv(net.pad(x, 1), 5, same=False),
    "pad then conv stride 2": lambda net, x: net.conv(net.pad(x, 2), 5, stride=2, same=False),
    "pad that two layers read": lambda net, x: net.add(
        net.conv(net.pad(x, 1), 4, same=False, name="a"), net.pool(net.pad(x, 1, "q"), size=3, stride=1)
    ),
    "residual add": residual,
    "concatenation": lambda net, x: net.concatenate(net.conv(x, 3, name="a"), net.conv(x, 2, name="b")),
    "add constant": constant_operand("ADD", "AddOptions", fusedActivationFunction=0),
    "sub constant": constant_operand("SUB", "SubOptions", fusedActivationFunction=0),
    "mul constant": constant_operand("MUL", "MulOptions", fusedActivationFunction=1),
    "maximum constant": constant_operand("MAXIMUM", "MaximumMinimumOptions"),
    "minimum constant": constant_operand("MINIMUM", "MaximumMinimumOptions"),
    "maximum of two": two_branches("MAXIMUM", "MaximumMinimumOptions"),
    "sub of two": two_branches("SUB", "SubOptions", fusedActivationFunction=0),
    "mul of two": two_branches("MUL", "MulOptions", fusedActivationFunction=0),
    "relu": unary("RELU"),
    "relu6": unary("RELU6"),
    "leaky relu": unary("LEAKY_RELU", "LeakyReluOptions", alpha=0.2),
    "elu": unary("ELU"),
    "sigmoid": unary("LOGISTIC"),
    "tanh": unary("TANH"),
    "reshape to other columns": sizes("RESHAPE", (9, 3, 12), "ReshapeOptions"),
    "reshape to rank 3": sizes("RESHAPE", (81, 4), "ReshapeOptions"),
    "crop": cropped,
    "dense over a map": dense_over_a_map,
    "transpose": transposed,
    "affine": lambda net, x: net.affine(x, [0.5, 1, 2, 1], [0.1, 0, -0.3, 0.2]),
}  # fmt: skip

# Layers that have no integer form: they stay in float.
FLOAT_LAYERS = {
    "gelu": unary("GELU", "GeluOptions", approximate=False),
    "gelu by tanh": unary("GELU", "GeluOptions", approximate=True),
    "hard swish": unary("HARD_SWISH"),
    "prelu": sloped,
    "neg": unary("NEG"),
    "exp": unary("EXP"),
    "square": unary("SQUARE"),
    "log": of_positive("LOG"),
    "sqrt": of_positive("SQRT"),
    "rsqrt": of_positive("RSQRT"),
    "squared difference": squared_difference,
    "pow": power,
    "div constant": constant_operand("DIV", "DivOptions", fusedActivationFunction=0),
    "floor of quotient": constant_operand("FLOOR_DIV", "FloorDivOptions"),
    "l2 normalization": unary("L2_NORMALIZATION", "L2NormOptions", fusedActivationFunction=0),
    "relu 0 to 1": unary("RELU_0_TO_1"),
    "space to depth": blocks("SPACE_TO_DEPTH", "SpaceToDepthOptions", 3, (3, 3, 36)),
    "depth to space": blocks("DEPTH_TO_SPACE", "DepthToSpaceOptions", 2, (18, 18, 1)),
    "logical or": of_either("LOGICAL_OR"),
    "not equal": different,
    "place of largest": extreme_place("ARG_MAX", "ArgMaxOptions"),
    "place of smallest": extreme_place("ARG_MIN", "ArgMinOptions"),
    "greater": chosen("GREATER", "SELECT"),
    "greater or equal": chosen("GREATER_EQUAL", "SELECT_V2"),
    "less": chosen("LESS", "SELECT_V2"),
    "less or equal": chosen("LESS_EQUAL", "SELECT"),
}

# LiteRT computes these in fixed point or divides integers, ONNX Runtime in float: a step apart now and then,
# which the dense layer behind may spread. Everything else is equal to the last bit.
ROUNDED = {
    "average pool", "average pool same", "mean over channels",
}  # fmt: skip


@pytest.fixture
def pixels():
    return np.random.default_rng(5).integers(0, 255, (16, 9, 9, 3), endpoint=True, dtype=np.uint8)


def as_codes(pixels):
    return (pixels.astype(np.int16) - 128).astype(np.int8)


@pytest.mark.parametrize("name", LAYERS)
def test_integers_equal_litert(network, in_int8, litert, onnxruntime_run, pixels, name):
    graph = in_int8(network(LAYERS[name])).graph
    expected = litert(graph, as_codes(pixels)).astype(int) + 128

    for channels_last in (False, True):
        content = write_onnx(graph, io=IoType.UINT8, channels_last=channels_last)
        found = onnxruntime_run(content, pixels)
        assert found.dtype == np.uint8
        if name in ROUNDED:
            assert np.abs(found - expected).max() <= 2
        else:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", LAYERS | FLOAT_LAYERS)
def test_float_values_equal_litert(network, litert, onnxruntime_run, pixels, name):
    graph = network((LAYERS | FLOAT_LAYERS)[name])
    inputs = pixels / np.float32(255)
    found = onnxruntime_run(write_onnx(graph, io=IoType.FLOAT32), inputs)

    # float32 sums of some hundred products in another order
    np.testing.assert_allclose(found, litert(graph, inputs), atol=2e-5)


def test_every_emitter_is_tested(network, lenet_graph):
    kinds = {op.kind for layer in (LAYERS | FLOAT_LAYERS).values() for op in network(layer).ops}
    elsewhere = {"SOFTMAX", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE"}  # below
    keras = {  # tests/export/test_keras_layers.py
        "BATCH_MATMUL", "CEIL", "COS", "CUMSUM", "EQUAL", "FLOOR", "GATHER", "LOGICAL_AND", "LOGICAL_NOT",
        "LOG_SOFTMAX", "MIRROR_PAD", "PACK", "PADV2", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD",
        "RELU_N1_TO_1", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "SIGN", "SIN",
        "SLICE", "SPLIT", "SPLIT_V", "SUM", "TILE", "UNPACK",
    }  # fmt: skip

    assert kinds | elsewhere | keras >= set(EMITTERS)
