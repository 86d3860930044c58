"""Runs graphs in the runtimes that rewrites are for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mnist_export.core.graph import Graph
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import IoType
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.quantize import QuantizedModel, SchemeConfig, quantize


@pytest.fixture
def litert() -> Callable[..., np.ndarray]:
    """Runs a graph on a batch in LiteRT, with XNNPACK unless other kernels are named."""

    def run(graph: Graph, inputs: np.ndarray, kernels: str = "AUTO") -> np.ndarray:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        interpreter = Interpreter(
            model_content=write_tflite(graph),
            experimental_op_resolver_type=getattr(OpResolverType, kernels),
        )
        entry = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(entry, inputs.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry, inputs)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run


@pytest.fixture
def onnxruntime_run() -> Callable[..., np.ndarray]:
    """Writes an int8 graph as ONNX, runs it on int8 codes in ONNX Runtime, and gives int8 codes back."""

    def run(graph: Graph, codes: np.ndarray, *, channels_last: bool = False) -> np.ndarray:
        import onnxruntime

        content = write_onnx(graph, io=IoType.UINT8, channels_last=channels_last)
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        pixels = (codes.astype(np.int16) + 128).astype(np.uint8)
        made = session.run(None, {session.get_inputs()[0].name: pixels})[0]
        return (made.astype(np.int16) - 128).astype(np.int8)

    return run


@pytest.fixture
def codes() -> Callable[..., np.ndarray]:
    """Random int8 inputs for a graph."""

    def make(graph: Graph, count: int = 8) -> np.ndarray:
        shape = graph.tensors[graph.inputs[0]].shape[1:]
        return np.random.default_rng(2).integers(-128, 127, (count, *shape), endpoint=True, dtype=np.int8)

    return make


@pytest.fixture
def lenet_graph(net_builder) -> Graph:
    """LeNet-5's layers with random weights, two dense layers of 24 and 10."""
    net = net_builder((28, 28, 1))
    x = net.pool(net.conv(0, 6, 5, name="conv1"), name="pool1")
    x = net.pool(net.conv(x, 16, 5, same=False, name="conv2"), name="pool2")
    return net.graph(net.dense(net.dense(net.flatten(x), 24, act=1, name="dense1"), 10))


@pytest.fixture
def in_int8() -> Callable[..., QuantizedModel]:
    """Quantizes a float graph to int8 on seeded noise."""

    def quantized(graph: Graph, **options: Any) -> QuantizedModel:
        shape = graph.tensors[graph.inputs[0]].shape[1:]
        images = np.random.default_rng(1).integers(0, 255, (16, *shape), endpoint=True, dtype=np.uint8)
        return quantize(graph, SchemeConfig(**options), images)

    return quantized
