"""Graphs and runners for tests of written files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mnist_export.core.graph import Graph


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


@pytest.fixture
def network(net_builder) -> Callable[..., Graph]:
    """Builds a network around one layer, which gets its builder and a map of (9, 9, 4)."""

    def build(layer: Callable[..., int], shape: tuple[int, ...] = (9, 9, 3)) -> Graph:
        net = net_builder(shape, seed=7)
        x = layer(net, net.conv(0, 4, name="first"))
        return net.graph(net.dense(net.flatten(x), 6))

    return build
