"""Graphs and runners for tests of written files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mnist_export.core.graph import Graph
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.quantize import QuantizedModel, SchemeConfig, quantize


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


@pytest.fixture
def litert() -> Callable[..., np.ndarray]:
    """Runs a graph (or a file's bytes) on a batch in LiteRT with plain calls."""

    def run(model: Graph | bytes, inputs: np.ndarray, kernels: str = "AUTO") -> np.ndarray:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        content = model if isinstance(model, bytes) else write_tflite(model)
        interpreter = Interpreter(
            model_content=content, experimental_op_resolver_type=getattr(OpResolverType, kernels)
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
    """Runs an ONNX file's bytes on a batch with plain calls."""

    def run(content: bytes, inputs: np.ndarray, *, optimize: bool = True) -> np.ndarray:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if not optimize:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: inputs})[0]

    return run
