"""The computed arena: TFLM's planner on small cases, and TFLM's own report where it is ready."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.kinds import Precision
from mnist_export.export.request import ExportRequest
from mnist_export.export.tflite_format import TfliteExporter
from mnist_export.export.tflm_arena import greedy_plan, tflm_arena
from mnist_export.quantize import quantize
from mnist_export.quantize.network.scheme import SchemeConfig
from mnist_export.runtime.devices.tflm import DEVICE
from mnist_export.runtime.devices.tflm_arena import reported_arena

REQUEST = ExportRequest(name="net", class_names=(), source_sha256="0" * 64, stem="net", batch=1)
READY = not DEVICE.why_not_ready()  # of the cache that this run was started with


def _plain(net):
    x = net.pool(net.conv(0, 6, name="c1"))
    return net.dense(net.dense(net.flatten(net.pool(net.conv(x, 9, same=False, name="c2"))), 33), 10)


def _residual(net):
    first = net.conv(0, 8, stride=2, name="c1")
    x = net.add(first, net.conv(net.depthwise(first, name="d1"), 8, act=0, name="c2"))
    return net.dense(net.mean(net.concatenate(x, net.pad(net.conv(x, 4, same=False, name="c3")))), 7)


def _functions(net):
    x = net.conv(0, 5, kernel=5, act=0, name="c1")
    x = net.op("LOGISTIC", "gate", (x,), net.shape(x))
    x = net.affine(net.pool(x, "AVERAGE_POOL_2D"), np.ones(5), np.ones(5))
    logits = net.dense(net.flatten(x), 6)
    return net.op("SOFTMAX", "shares", (logits,), (6,), "SoftmaxOptions", beta=1.0)


@pytest.fixture(params=[_plain, _residual, _functions], ids=lambda f: f.__name__)
def content(request, net_builder):
    net = net_builder((16, 16, 2), seed=3)
    graph = net.graph(request.param(net))
    images = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 2), dtype=np.uint8)
    model = quantize(graph, SchemeConfig(precision=Precision.INT8), images)
    return TfliteExporter().export(model, REQUEST)[".tflite"]


@pytest.mark.parametrize(
    ("buffers", "extent"),
    [
        ([], 0),
        ([(17, 0, 1)], 32),
        ([(32, 0, 1), (32, 2, 3)], 32),
        ([(32, 0, 2), (32, 2, 3)], 64),
        # the gap that the first leaves behind is wide enough for the last
        ([(64, 0, 1), (48, 1, 2), (32, 2, 3)], 112),
        # of equal ones the last in the list is placed first
        ([(16, 0, 0), (16, 0, 1), (16, 2, 2), (16, 1, 2)], 32),
        ([(16, 1, 2), (16, 2, 2), (16, 0, 1), (16, 0, 0)], 48),
        ([(64, 0, 3), (32, 0, 1), (16, 1, 2), (16, 2, 3)], 112),
    ],
)
def test_the_planner_places_the_largest_first_in_the_first_gap(buffers, extent):
    assert greedy_plan(buffers) == extent


def test_the_arena_is_within_a_tenth_of_tflm_s_own(content):
    reported = reported_arena(content, "net") if READY else None
    if reported is None:
        pytest.skip("TensorFlow Lite Micro is not prepared here: mnist-parity devices --prepare tflm")
    assert tflm_arena(read_tflite(content)).size_bytes == pytest.approx(reported, rel=0.02)


def test_values_that_live_together_are_counted_and_kernels_tables_grow_with_channels(net_builder):
    net = net_builder((8, 8, 1))
    graph = net.graph(net.dense(net.flatten(net.conv(0, 4)), 3))
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    graph = quantize(graph, SchemeConfig(precision=Precision.INT8), images).graph
    found = tflm_arena(graph)
    assert found.values_bytes == 512  # the map of the convolution and its reshaped copy
    wide = tuple(
        replace(t, shape=(40, *t.shape[1:])) if t.shape == (4, 3, 3, 1) else t for t in graph.tensors
    )
    assert tflm_arena(replace(graph, tensors=wide)).tables_bytes - found.tables_bytes == 2 * (160 - 16)


def test_a_file_that_tflm_cannot_run_has_no_report(monkeypatch):
    monkeypatch.setenv("MNIST_EXPORT_CACHE", "/nonexistent")
    assert reported_arena(b"", "net") is None
