"""A new elementwise operator is one entry of the table: both formats, in float and in int8."""

import numpy as np
import pytest

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import operators
from mnist_export.core.graph.operator import Family, Operator
from mnist_export.core.kinds import IoType
from mnist_export.export.onnx_writer import write_onnx

SINE = Operator(kind="SIN", family=Family.FUNCTION, onnx="Sin")


@pytest.fixture
def without_sine(monkeypatch):
    monkeypatch.delitem(operators._TABLE, "SIN", raising=False)


@pytest.fixture
def graph(network):
    return network(lambda net, x: net.op("SIN", "layer", (x,), net.shape(x)))


@pytest.fixture
def pixels():
    return np.random.default_rng(5).integers(0, 255, (16, 9, 9, 3), endpoint=True, dtype=np.uint8)


def test_without_an_entry_there_is_neither_an_onnx_nor_an_integer_form(without_sine, graph, in_int8):
    with pytest.raises(UnsupportedError, match="SIN, which has no ONNX form"):
        write_onnx(graph, io=IoType.FLOAT32)
    with pytest.raises(UnsupportedError, match="SIN, which has no"):
        in_int8(graph)


def test_with_an_entry_float_files_compute_it(without_sine, graph, pixels, litert, onnxruntime_run):
    with operators.added(SINE):
        inputs = pixels / np.float32(255)
        found = onnxruntime_run(write_onnx(graph, io=IoType.FLOAT32), inputs)
        # float32 sums of some hundred products in another order
        np.testing.assert_allclose(found, litert(graph, inputs), atol=2e-5)


def test_with_an_entry_int8_files_give_equal_codes(
    without_sine, graph, pixels, in_int8, litert, onnxruntime_run
):
    with operators.added(SINE):
        integers = in_int8(graph).graph
        assert all(op.kind != "SIN" for op in integers.ops)
        expected = litert(integers, (pixels.astype(np.int16) - 128).astype(np.int8)).astype(int) + 128
        found = onnxruntime_run(write_onnx(integers, io=IoType.UINT8), pixels)
        np.testing.assert_array_equal(found, expected)
