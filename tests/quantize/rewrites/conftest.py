"""Runs graphs in the runtimes that rewrites are for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mnist_export.core.graph import Graph
from mnist_export.core.kinds import IoType
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.quantize.rewrites.regions import largest_error

TOLERANCE = 1e-5
"""Outputs are near 1; sums of some hundred products in another order differ by some 2**-24 of that."""


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
def same_function(litert) -> Callable[[Graph, Graph], None]:
    """Checks that two float graphs compute the same."""

    def check(before: Graph, after: Graph) -> None:
        shape = before.tensors[0].shape[1:]
        inputs = np.random.default_rng(3).uniform(-1, 1, (6, *shape)).astype(np.float32)
        kernels = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
        one, two = litert(before, inputs, kernels), litert(after, inputs, kernels)
        np.testing.assert_allclose(two, one, atol=TOLERANCE * max(1.0, np.abs(one).max()))
        assert largest_error(before, after, inputs, TOLERANCE) <= TOLERANCE

    return check
