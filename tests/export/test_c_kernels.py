"""Each kernel of generated C on odd geometries, in each of its three forms, with sanitizers."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from mnist_export.core.kinds import Precision
from mnist_export.export.c_names import identifier
from mnist_export.export.c_pairs import runs_of, turn_of
from mnist_export.export.c_plan import plan_steps
from mnist_export.export.c_rows import groups_of
from mnist_export.export.c_source import generate
from mnist_export.export.c_steps import steps_of
from mnist_export.export.c_weights import PIXEL, Weights, lengthened, weights_of
from mnist_export.quantize.exact import quantize_exact
from mnist_export.quantize.exact.arithmetic import run_graph
from mnist_export.quantize.network.scheme import SchemeConfig
from mnist_export.runtime.runners.compiled import run_compiled

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
CHECKED = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")

needs_compiler = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc on this machine")


def rows_pooled(net):
    return net.pool(net.conv(0, 5, 5)), (13, 18, 2)


def rows_not_pooled(net):
    return net.conv(0, 3, 3, dilation=2, same=False), (11, 12, 3)


def rows_down(net):
    return net.conv(net.conv(0, 7, 3), 4, 3, stride=2), (10, 17, 1)


def outputs_innermost(net):
    x = net.conv(0, 16, 3, stride=2, name="first")
    return net.conv(net.pool(net.conv(x, 16, 1, name="second")), 16, 1, name="third"), (17, 15, 3)


def outputs_innermost_pooled(net):
    return net.pool(net.conv(0, 32, 3)), (9, 11, 1)


def dots(net):
    x = net.conv(0, 17, 3, name="first")
    x = net.conv(x, 9, 3, same=False, dilation=2, name="second")
    return net.conv(x, 1, 3, stride=2, name="third"), (12, 10, 5)


def dots_pooled(net):
    return net.pool(net.conv(net.conv(0, 8, 3, name="first"), 11, 4, name="second")), (9, 13, 5)


def few_windows(net):
    x = net.conv(0, 6, 3, stride=3, name="first")
    return net.conv(net.conv(x, 5, 2, same=False, name="second"), 3, 1, name="third"), (4, 8, 5)


def depthwise(net):
    x = net.depthwise(net.conv(0, 16, 1), stride=2, name="down")
    x = net.depthwise(x, multiplier=3, kernel=5, act=1, name="wide")
    return net.depthwise(x, kernel=2, same=False, act=3, name="even"), (13, 11, 2)


def large_average(net):
    return net.pool(net.conv(0, 12, 3), "AVERAGE_POOL_2D", 7, stride=1), (7, 9, 2)


def maximum(net):
    x = net.pool(net.conv(0, 6, 3), size=3, stride=1, same=True, name="overlapping")
    return net.pool(net.pool(x, size=6, stride=2, same=True, name="large"), size=2, name="plain"), (11, 12, 2)


def scaled_in_place(net):
    x = net.conv(0, 8, 3, name="first")
    x = net.affine(x, np.linspace(0.5, 1.5, 8), np.linspace(-0.3, 0.4, 8))
    return net.conv(x, 6, 3, name="second"), (8, 9, 2)


def joined(net):
    x = net.conv(0, 6, 3, name="first")
    x = net.add(x, net.conv(x, 6, 1, act=0, name="side"), act=1)
    x = net.concatenate(x, net.pad(net.conv(x, 4, 3, same=False, name="inner"), 1))
    return net.pool(x), (8, 6, 3)


NETWORKS = (
    rows_pooled, rows_not_pooled, rows_down, outputs_innermost, outputs_innermost_pooled, dots, dots_pooled,
    few_windows, depthwise, large_average, maximum, scaled_in_place, joined,
)  # fmt: skip


def exact_of(net_builder, layer, seed=3):
    shape = {make: make_shape(make, net_builder) for make in (layer,)}[layer]
    net = net_builder(shape, seed=seed)
    x, _ = layer(net)
    graph = net.graph(net.dense(net.flatten(x), 3))
    images = np.random.default_rng(0).integers(0, 256, (16, *shape), dtype=np.uint8)
    return quantize_exact(graph, images, None, SchemeConfig(precision=Precision.INT8)).graph


def make_shape(layer, net_builder):
    """The input's shape stands beside the layers that it is for."""
    probe = net_builder((40, 40, 3))
    return layer(probe)[1]


@needs_compiler
@pytest.mark.parametrize("layer", NETWORKS, ids=lambda layer: layer.__name__)
def test_each_form_gives_the_integers_of_the_graph(net_builder, layer):
    graph = exact_of(net_builder, layer)
    made = generate(graph, "net", "net.h")
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    images = np.random.default_rng(3).integers(0, 256, (40, *shape), dtype=np.uint8)
    images[0], images[1] = 0, 255
    expected = run_graph(graph, images)[graph.outputs[0]]
    for kernels in (0, 1, 2):
        flags = [*STRICT, *CHECKED, f"-DNET_KERNELS={kernels}"]
        found = run_compiled(made.source.encode(), made.header.encode(), images, flags=flags)
        np.testing.assert_array_equal(found, expected, err_msg=f"kernels {kernels}")


@needs_compiler
@pytest.mark.parametrize("scale", [1, 40], ids=["small weights", "large weights"])
def test_weights_that_leave_16_bits_at_once_are_summed_in_runs(net_builder, scale):
    net = net_builder((9, 9, 3), seed=2)
    first = net.conv(0, 6, 3, name="first")
    net.tensors[net.ops[0].inputs[1]].data[...] = scale * np.sign(net.tensors[net.ops[0].inputs[1]].data)
    graph = net.graph(net.dense(net.flatten(net.conv(first, 5, 3, name="second")), 4))
    images = np.random.default_rng(0).integers(0, 256, (16, 9, 9, 3), dtype=np.uint8)
    exact = quantize_exact(graph, images, None, SchemeConfig(precision=Precision.INT8)).graph
    made = generate(exact, "net", "net.h")
    expected = run_graph(exact, images)[exact.outputs[0]]
    for kernels in (0, 1, 2):
        flags = [*STRICT, *CHECKED, f"-DNET_KERNELS={kernels}"]
        found = run_compiled(made.source.encode(), made.header.encode(), images, flags=flags)
        np.testing.assert_array_equal(found, expected)


def some_weights(taps):
    count = len(taps)
    zeros = np.zeros(count, np.int64)
    return Weights(taps=taps, bias=zeros, shifts=zeros + 5, zero_in=0, low=0, high=255)


def test_no_run_of_taps_leaves_16_signed_bits_and_runs_are_as_long_as_they_can_be():
    weights = some_weights(np.random.default_rng(1).integers(-31, 32, (7, 60)))
    unroll = turn_of(weights)
    for first, runs in zip(range(0, 7, 2), runs_of(weights, unroll), strict=True):
        assert sum(runs) * unroll == 60
        two = weights.taps[min(first, 5) :][:2]
        start = 0
        for number, run in enumerate(runs):
            part = two[:, start : start + run * unroll]
            assert PIXEL * np.maximum(part, 0).sum(axis=1).max() < 2**15
            assert -PIXEL * np.minimum(part, 0).sum(axis=1).min() <= 2**15
            if number < len(runs) - 1:
                longer = two[:, start : start + (run + 1) * unroll]
                most = max(np.maximum(longer, 0).sum(axis=1).max(), -np.minimum(longer, 0).sum(axis=1).min())
                assert PIXEL * most >= 2**15
            start += run * unroll


def test_groups_of_taps_have_fewer_than_65536_sums_each():
    weights = some_weights(np.full((3, 50), 31))
    groups = groups_of(weights)
    assert [end - start for start, end in groups] == [8, 8, 8, 8, 8, 8, 2]
    assert all(weights.fits_short(start, end) for start, end in groups)
    assert not weights.fits_short(0, 9)


def test_the_last_outputs_sum_stays_within_the_weights():
    weights = some_weights(np.ones((3, 25), np.int64))
    assert len(lengthened(weights, 32)) >= 2 * 25 + 32


def test_weights_and_biases_are_divided_by_4_where_all_are_exact(exact_lenet):
    graph = exact_lenet.graph
    op = graph.ops[0]
    made, data = weights_of(graph, op), graph.tensors[op.inputs[1]].data
    np.testing.assert_array_equal(4 * made.taps, data.reshape(len(data), -1))


def test_a_pool_that_something_else_reads_around_is_not_fused(net_builder):
    net = net_builder((8, 8, 3), seed=1)
    x = net.conv(0, 4, 3, name="shared")
    pooled = net.conv(net.pool(x, name="pooled"), 4, 1, name="behind")
    other = net.pool(x, size=2, name="other")
    graph = net.graph(net.dense(net.flatten(net.add(pooled, other)), 3))
    assert all(step.pool is None for step in steps_of(graph))


def test_scratch_lies_beside_what_lives_while_it_is_used(exact_lenet):
    graph = exact_lenet.graph
    steps = steps_of(graph)
    plan, scratch = plan_steps(graph, steps, [100] * len(steps))
    for step, first in zip(steps, scratch, strict=True):
        assert first % 4 == 0
        for index in (*step.op.inputs, step.output):
            root = plan.root.get(index)
            if root in plan.offsets:
                size = int(np.prod(graph.tensors[root].shape[1:]))
                start = plan.offsets[root]
                assert first + 100 <= start or start + size <= first
    assert plan.size_bytes % 4 == 0


def test_names_of_macros_follow_the_network(exact_lenet):
    name = identifier("My net")
    made = generate(exact_lenet.graph, name, "net.h")
    assert "MY_NET_KERNELS" in made.source and "my_net_run(my_net_context *context" in made.header
