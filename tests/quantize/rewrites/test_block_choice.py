"""The rule that chooses blocks: what it takes for kernels that are known, and what it leaves alone."""

from __future__ import annotations

import pytest

from mnist_export.quantize.rewrites.block import Block
from mnist_export.quantize.rewrites.block_choice import MLAS, XNNPACK, by_rule, work
from mnist_export.quantize.rewrites.block_convolution import block_convolution
from mnist_export.quantize.rewrites.block_site import candidates


def choice(kernels, graph, number=0):
    conv = [op for op in graph.ops if op.kind == "CONV_2D"][number]
    return by_rule(kernels)(graph, conv, candidates(graph, conv))


def test_lenets_layers_get_the_blocks_that_were_measured_fastest(lenet_graph, in_int8):
    graph = in_int8(lenet_graph).graph
    assert choice(XNNPACK, graph) == Block(rows=2, columns=4, gathered=True)
    assert choice(MLAS, graph) == Block(rows=2, columns=4)

    blocked = block_convolution(graph, graph.ops[0], Block(rows=2, columns=4))
    assert choice(XNNPACK, blocked, 1) is None
    assert choice(MLAS, blocked, 1) == Block(columns=2)


@pytest.mark.parametrize("kernels", [XNNPACK, MLAS])
def test_wide_layers_and_float_layers_stay(net_builder, lenet_graph, in_int8, kernels):
    net = net_builder((28, 28, 32))
    wide = in_int8(net.graph(net.dense(net.flatten(net.pool(net.conv(0, 32))), 4))).graph

    assert choice(kernels, wide) is None
    assert choice(kernels, lenet_graph) is None


def test_work_counts_what_a_kernel_fills_up_with_zeros(net_builder, in_int8):
    net = net_builder((8, 8, 1))
    graph = in_int8(net.graph(net.dense(net.flatten(net.conv(0, 6)), 4))).graph
    conv = graph.ops[0]

    assert work(graph, conv, Block(), XNNPACK) == 64 * 9 * 8 * 16
    assert work(graph, conv, Block(), MLAS) == 3 * 64 * 9 * 4 * 16
    # 8 rows of 2 blocks of 4 columns; 3x3 blocks of 4 channels give 4 columns of 6 outputs
    assert work(graph, conv, Block(columns=4), MLAS) == 16 * 9 * 4 * 32
