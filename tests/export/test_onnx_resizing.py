"""Resizing of codes: ONNX Runtime gives XNNPACK's integers, whichever way they are written."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import pytest

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.kinds import IoType
from mnist_export.export.onnx_writer import write_onnx

INT8, PIXELS = np.dtype(np.int8), QuantParams.per_tensor(1 / 255, -128)


def resizing(before, after, *, align_corners, half_pixel):
    sizes = np.array(after, np.int32)
    tensors = (
        Tensor(name="image", shape=(-1, *before, 3), dtype=INT8, quant=PIXELS),
        Tensor(name="sizes", shape=(2,), dtype=np.dtype(np.int32), data=sizes),
        Tensor(name="logits", shape=(-1, *after, 3), dtype=INT8, quant=PIXELS),
    )
    op = Op(
        kind="RESIZE_BILINEAR",
        inputs=(0, 1),
        outputs=(2,),
        options_type="ResizeBilinearOptions",
        options=MappingProxyType({"alignCorners": align_corners, "halfPixelCenters": half_pixel}),
    )
    return Graph(tensors=tensors, ops=(op,), inputs=(0,), outputs=(2,))


def operators(content):
    import onnx

    return {node.op_type for node in onnx.load_from_string(content).graph.node}


@pytest.mark.parametrize(("align_corners", "half_pixel"), [(False, True), (True, False), (False, False)])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((8, 6), (16, 24)),
        ((7, 5), (13, 11)),
        ((24, 16), (12, 4)),
        ((9, 9), (4, 5)),
        ((9, 6), (3, 2)),
        ((6, 6), (1, 1)),
    ],
)
def test_bilinear_codes_are_equal(onnxruntime_run, litert, before, after, align_corners, half_pixel):
    graph = resizing(before, after, align_corners=align_corners, half_pixel=half_pixel)
    codes = np.random.default_rng(0).integers(-128, 128, (20, *before, 3), dtype=np.int8)
    content = write_onnx(graph, io=IoType.INT8)

    np.testing.assert_array_equal(onnxruntime_run(content, codes), litert(graph, codes))


def test_a_power_of_two_takes_the_fast_operator():
    graph = resizing((8, 6), (16, 24), align_corners=False, half_pixel=True)
    odd = resizing((8, 6), (13, 24), align_corners=False, half_pixel=True)

    assert "Resize" in operators(write_onnx(graph, io=IoType.INT8))
    assert "Resize" not in operators(write_onnx(odd, io=IoType.INT8))
