"""A small classifier made with NumPy alone: fixed edge filters, pooling, and a ridge regression on digits.

It is right on about 95 % of the digits, so that accuracy, flips and damage mean something, and it is written
as float and int8 .tflite (by `core.graph`) and as float and int8 .onnx (by `onnx.helper`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest

from mnist_export.core.affine import QuantParams, asymmetric
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.tflite_writer import write_tflite

F32, I8, I32 = np.dtype(np.float32), np.dtype(np.int8), np.dtype(np.int32)
METADATA = {
    "schema_version": 1,
    "tool_version": "0",
    "name": "edges",
    "class_names": [str(i) for i in range(10)],
    "pixel_rule": "int8 input = pixel - 128",
    "input_range": [0.0, 1.0],
    "source_sha256": "0" * 64,
    "precision": "int8",
    "variant": "",
    "ends_in": "logits",
}


@dataclass(frozen=True)
class Edges:
    """Weights of the classifier, and its answers in NumPy."""

    filters: np.ndarray  # (4, 3, 3, 1)
    bias: np.ndarray  # (4,)
    weights: np.ndarray  # (10, 676)
    offset: np.ndarray  # (10,)

    def features(self, images):
        x = images.astype(np.float32)[..., 0] / np.float32(255)
        rows = [
            sum(x[:, i : i + 26, j : j + 26] * f[i, j, 0] for i in range(3) for j in range(3))
            for f in self.filters
        ]
        maps = np.maximum(np.stack(rows, -1) + self.bias, 0)
        return maps.reshape(len(x), 13, 2, 13, 2, 4).max(axis=(2, 4))

    def logits(self, images):
        return self.features(images).reshape(len(images), -1) @ self.weights.T + self.offset


def constant(name, value, quant=None):
    value = np.asarray(value)
    return Tensor(name=name, shape=value.shape, dtype=value.dtype, data=value, quant=quant)


def float_graph(edges):
    tensors = (
        Tensor(name="images", shape=(-1, 28, 28, 1), dtype=F32),
        constant("conv/kernel", edges.filters),
        constant("conv/bias", edges.bias),
        Tensor(name="conv/Relu", shape=(-1, 26, 26, 4), dtype=F32),
        Tensor(name="pool", shape=(-1, 13, 13, 4), dtype=F32),
        constant("flat/shape", np.array([-1, 676], np.int32)),
        Tensor(name="flat", shape=(-1, 676), dtype=F32),
        constant("dense/kernel", edges.weights),
        constant("dense/bias", edges.offset),
        Tensor(name="logits", shape=(-1, 10), dtype=F32),
    )
    return Graph(tensors=tensors, ops=_ops(), inputs=(0,), outputs=(9,))


def _ops():
    conv = {"padding": 1, "strideW": 1, "strideH": 1, "fusedActivationFunction": 1}
    pool = {"padding": 1, "strideW": 2, "strideH": 2, "filterWidth": 2, "filterHeight": 2}
    return (
        Op(kind="CONV_2D", inputs=(0, 1, 2), outputs=(3,), options_type="Conv2DOptions", options=conv),
        Op(kind="MAX_POOL_2D", inputs=(3,), outputs=(4,), options_type="Pool2DOptions", options=pool),
        Op(kind="RESHAPE", inputs=(4, 5), outputs=(6,), options_type="ReshapeOptions",
           options={"newShape": [-1, 676]}),
        Op(kind="FULLY_CONNECTED", inputs=(6, 7, 8), outputs=(9,), options_type="FullyConnectedOptions"),
    )  # fmt: skip


def int8_graph(edges, images):
    maps, out = edges.features(images), edges.logits(images)
    x = QuantParams.per_tensor(1 / 255, -128)
    act = asymmetric(0.0, float(maps.max()) * 1.2, np.int8)
    end = asymmetric(float(out.min()), float(out.max()), np.int8)
    kernel = QuantParams.per_channel(np.abs(edges.filters).max(axis=(1, 2, 3)) / 127, 0)
    dense = QuantParams.per_tensor(float(np.abs(edges.weights).max()) / 127)
    bias = QuantParams.per_channel(kernel.scale * x.scale[0], 0)
    offset = QuantParams.per_tensor(float(dense.scale[0] * act.scale[0]))
    graph = float_graph(edges)
    t = list(graph.tensors)
    changes = {
        0: replace(t[0], dtype=I8, quant=x),
        1: constant("conv/kernel", kernel.quantize(edges.filters, np.int8), kernel),
        2: constant("conv/bias", bias.quantize(edges.bias, np.int32), bias),
        3: replace(t[3], dtype=I8, quant=act),
        4: replace(t[4], dtype=I8, quant=act),
        6: replace(t[6], dtype=I8, quant=act),
        7: constant("dense/kernel", dense.quantize(edges.weights, np.int8), dense),
        8: constant("dense/bias", offset.quantize(edges.offset, np.int32), offset),
        9: replace(t[9], dtype=I8, quant=end),
    }
    return graph.with_tensors(changes)


def float_onnx(edges, batch="batch"):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = edges.weights.reshape(10, 13, 13, 4).transpose(0, 3, 1, 2).reshape(10, 676)
    constants = {
        "kernel": edges.filters.transpose(0, 3, 1, 2),
        "bias": edges.bias,
        "weights": weights,
        "offset": edges.offset,
    }
    nodes = [
        helper.make_node("Conv", ["images", "kernel", "bias"], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("MaxPool", ["relu"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "offset"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "edges",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 10])],
        [numpy_helper.from_array(np.ascontiguousarray(v, np.float32), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def int8_onnx(edges, images):
    """The integers of `int8_graph` as a QDQ graph with uint8 activations."""
    from onnx import TensorProto, helper, numpy_helper

    t = int8_graph(edges, images).tensors
    nodes, constants = [], []

    def const(name, value):
        constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def params(name, quant):
        scale = const(f"{name}_scale", quant.scale[0])
        return [scale, const(f"{name}_zero", np.uint8(quant.zero_point[0] + 128))]

    def weight(name, value, quant):
        scale = quant.scale if quant.is_per_channel else quant.scale[0]
        zero = np.zeros(np.shape(scale), value.dtype)
        inputs = [const(name, value), const(f"{name}_scale", scale), const(f"{name}_zero", zero)]
        nodes.append(helper.make_node("DequantizeLinear", inputs, [f"{name}_real"], axis=0))
        return f"{name}_real"

    dense = t[7].data.reshape(10, 13, 13, 4).transpose(0, 3, 1, 2).reshape(10, 676)
    x, act, end = params("x", t[0].quant), params("act", t[3].quant), params("end", t[9].quant)
    kernel = weight("kernel", t[1].data.transpose(0, 3, 1, 2), t[1].quant)
    bias = weight("bias", t[2].data, t[2].quant)
    weights = weight("weights", dense, t[7].quant)
    offset = weight("offset", t[8].data, t[8].quant)
    nodes += [
        helper.make_node("DequantizeLinear", ["images", *x], ["x"]),
        helper.make_node("Conv", ["x", kernel, bias], ["conv"]),
        helper.make_node("Relu", ["conv"], ["relu"]),
        helper.make_node("QuantizeLinear", ["relu", *act], ["relu_q"]),
        helper.make_node("DequantizeLinear", ["relu_q", *act], ["relu_r"]),
        helper.make_node("MaxPool", ["relu_r"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("QuantizeLinear", ["pool", *act], ["pool_q"]),
        helper.make_node("DequantizeLinear", ["pool_q", *act], ["pool_r"]),
        helper.make_node("Flatten", ["pool_r"], ["flat"]),
        helper.make_node("QuantizeLinear", ["flat", *act], ["flat_q"]),
        helper.make_node("DequantizeLinear", ["flat_q", *act], ["flat_r"]),
        helper.make_node("Gemm", ["flat_r", weights, offset], ["gemm"], transB=1),
        helper.make_node("QuantizeLinear", ["gemm", *end], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "edges",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.UINT8, ["batch", 10])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="session")
def edges(digits):
    filters = np.zeros((4, 3, 3, 1), np.float32)
    sobel = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]], np.float32) / 4
    for i, kernel in enumerate((sobel, -sobel, sobel.T, -sobel.T)):
        filters[i, :, :, 0] = kernel
    bias = np.array([0.01, 0.02, 0.03, 0.04], np.float32)
    blank = Edges(filters, bias, np.zeros((10, 676), np.float32), np.zeros(10, np.float32))
    train = digits.train
    x = blank.features(train.images).reshape(len(train.images), -1).astype(np.float64)
    y = np.eye(10)[train.labels] * 8 - 4
    mean = x.mean(axis=0)
    weights = np.linalg.solve((x - mean).T @ (x - mean) + 5.0 * np.eye(676), (x - mean).T @ y)
    offset = y.mean(axis=0) - mean @ weights
    return Edges(filters, bias, weights.T.astype(np.float32), offset.astype(np.float32))


@dataclass(frozen=True)
class Models:
    """Files of the classifier as bytes."""

    edges: Edges
    graph: Graph
    float_graph: Graph
    files: dict[str, bytes]

    def write(self, folder, *names):
        paths = []
        for name in names:
            path = folder / name
            path.write_bytes(self.files[name])
            paths.append(str(path))
        return paths


@pytest.fixture(scope="session")
def models(edges, digits):
    images = digits.train.images[:300]
    graph, plain = int8_graph(edges, images), float_graph(edges)
    note = {"mnist_export": json.dumps(METADATA).encode()}
    onnx_int8 = int8_onnx(edges, images)
    entry = onnx_int8.metadata_props.add()
    entry.key, entry.value = "mnist_export", json.dumps({**METADATA, "pixel_rule": "uint8 input = pixel"})
    files = {
        "float.tflite": write_tflite(plain),
        "int8.tflite": write_tflite(graph, metadata=note),
        "foreign.tflite": write_tflite(graph),
        "float.onnx": float_onnx(edges).SerializeToString(),
        "int8.onnx": onnx_int8.SerializeToString(),
        "fixed.onnx": float_onnx(edges, batch=1).SerializeToString(),
    }
    return Models(edges, graph, plain, files)


@pytest.fixture(scope="session")
def int8_graph_of():
    """`int8_graph`, for tests that calibrate on images of their own."""
    return int8_graph
