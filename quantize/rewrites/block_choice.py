"""Which blocks a convolution is computed in: by a rule for a runtime's kernels.

The rule counts the multiplications that a kernel really does, padding of its registers included. Kernels
for 8-bit dot products (AVX512-VNNI, AVX-VNNI, NEON dot product) take input channels in groups of four or
eight and output channels in sixteens; what a layer leaves empty there is multiplied all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnist_export.core.graph import Graph, Op
from mnist_export.quantize.rewrites.block import Block, Choose
from mnist_export.quantize.rewrites.block_site import sizes

_WORTH = 0.8
"""A block has to do at most this share of the plain form's work: reshapes and larger weights cost too."""
_WINDOW = 2000.0
"""Multiplications in whose time a pool compares one window of up to sixteen channels (about 10 ns)."""


@dataclass(frozen=True, kw_only=True)
class Kernels:
    """What a runtime's integer convolution rounds a layer up to.

    Attributes:
        inputs: input channels are taken in groups of this many.
        outputs: output channels likewise.
        misaligned: how many times longer a layer takes whose input channels are no multiple of
            ``inputs``, or whose output channels are fewer than ``outputs``; 1 where the kernel fills up.
        operator: multiplications in whose time one more operator is dispatched.
    """

    inputs: int
    outputs: int
    misaligned: float
    operator: float


XNNPACK = Kernels(inputs=8, outputs=16, misaligned=1.0, operator=1e5)
"""``qs8-qc8w-igemm-*x16c8``: each tap's channels are filled up to eight."""
MLAS = Kernels(inputs=4, outputs=16, misaligned=3.0, operator=2e5)
"""``MlasConvSym`` takes channels in fours; other counts, and fewer than
sixteen outputs, go through im2col, about three times slower."""


def by_rule(kernels: Kernels) -> Choose:
    """Choose the block of least work; the smallest of equals, and none where little is saved."""

    def choose(graph: Graph, conv: Op, blocks: Sequence[Block]) -> Block | None:
        if not blocks or graph.tensors[conv.inputs[1]].dtype != np.int8:
            return None
        best = min(blocks, key=lambda block: work(graph, conv, block, kernels))
        plain = work(graph, conv, Block(), kernels)
        return best if work(graph, conv, best, kernels) <= _WORTH * plain else None

    return choose


def work(graph: Graph, conv: Op, block: Block, kernels: Kernels) -> float:
    """Multiplications that a convolution (and its pool) costs in a block, in the kernel's granularity."""
    size = sizes(graph, conv, block)
    vectors = size.windows * _filled(size.window_channels, kernels.outputs) / kernels.outputs
    total = vectors * _WINDOW + (len(size.products) - 1) * kernels.operator
    for product in size.products:
        inputs, outputs = _filled(product.inputs, kernels.inputs), _filled(product.outputs, kernels.outputs)
        fits = inputs == product.inputs and product.outputs >= kernels.outputs
        factor = 1.0 if fits else kernels.misaligned
        total += factor * product.positions * product.taps * inputs * outputs
    return total


def _filled(count: int, step: int) -> int:
    return -(-count // step) * step
