"""Files whose reshape reads the batch at run time, as TFLiteConverter writes a Keras Flatten."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.graph import Tensor
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.timing.latency import Effort
from mnist_export.runtime.timing.profile import profile


@pytest.fixture
def file_with_a_computed_shape(net_builder) -> bytes:
    net = net_builder((4, 4, 1))
    x = net.pool(0)

    def whole(name, shape):
        net.tensors.append(Tensor(name=name, shape=shape, dtype=np.dtype(np.int32)))
        return len(net.tensors) - 1

    def step(kind, name, inputs, shape, table, **options):
        target = net.op(kind, name, inputs, (), table, **options)
        net.tensors[target] = replace(net.tensors[target], shape=shape, dtype=np.dtype(np.int32))
        return target

    sizes = step("SHAPE", "sizes", (x,), (4,), "ShapeOptions", outType=2)
    parts = tuple(net.constant(n, [v], np.int32) for n, v in (("begin", 0), ("end", 1), ("stride", 1)))
    batch = step("STRIDED_SLICE", "batch", (sizes, *parts), (), "StridedSliceOptions", shrinkAxisMask=1)
    width = whole("width", ())
    net.tensors[width] = replace(net.tensors[width], data=np.array(4, np.int32))
    packed = step("PACK", "packed", (batch, width), (2,), "PackOptions", valuesCount=2, axis=0)
    flat = net.op("RESHAPE", "flat", (x, packed), (4,), "ReshapeOptions")
    return write_tflite(net.graph(net.dense(flat, 3)))


def test_such_a_file_runs_in_batches(file_with_a_computed_shape):
    images = np.random.default_rng(0).integers(0, 255, (7, 4, 4, 1), endpoint=True, dtype=np.uint8)
    with LiteRtRunner(file_with_a_computed_shape) as runner:
        together = runner.run(images)
        notes = tuple(runner.notes)
        single = np.concatenate([runner.run(image[None]) for image in images])

    assert not [note for note in notes if "one by one" in note]
    np.testing.assert_allclose(together, single, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 3])
def test_such_a_file_is_profiled_and_its_memory_told(batch, file_with_a_computed_shape):
    images = np.random.default_rng(0).integers(0, 255, (batch, 4, 4, 1), endpoint=True, dtype=np.uint8)
    quick = Effort(min_time_s=0.005, min_runs=3, min_rounds=2, max_time_s=0.2, max_warmup_s=0.01)
    with LiteRtRunner(file_with_a_computed_shape) as runner:
        found = profile(runner, images, effort=quick)
    kinds = ["MAX_POOL_2D", "SHAPE", "STRIDED_SLICE", "PACK", "RESHAPE", "FULLY_CONNECTED"]
    assert [node.kind for node in found.nodes] == kinds
    assert found.float_islands == ()
    # the input's 16 floats and the pool's 4
    assert found.live_tensor_peak_bytes == batch * (16 + 4) * 4
    assert found.arena_bytes is None or found.arena_bytes >= found.live_tensor_peak_bytes
