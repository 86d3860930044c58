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
from mnist_export.quantize.rewrites.block_convolution import sizes

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
            ``inputs``; 1 where the kernel fills up with zeros.
        padding: whether padding as an operator of its own is cheap enough.
    """

    inputs: int
    outputs: int
    misaligned: float
    padding: bool


XNNPACK = Kernels(inputs=8, outputs=16, misaligned=1.0, padding=True)
"""``qs8-qc8w-igemm-*x16c8``: each tap's channels are filled up to eight."""
MLAS = Kernels(inputs=4, outputs=16, misaligned=3.0, padding=False)
"""``MlasConvSym`` takes channels in fours; other counts go through im2col, about three times slower."""


def by_rule(kernels: Kernels) -> Choose:
    """Choose the block of least work; the smallest of equals, and none where little is saved."""

    def choose(graph: Graph, conv: Op, blocks: Sequence[Block]) -> Block | None:
        allowed = [b for b in blocks if kernels.padding or not b.padded]
        if not allowed or graph.tensors[conv.inputs[1]].dtype != np.int8:
            return None
        best = min(allowed, key=lambda block: work(graph, conv, block, kernels))
        plain = work(graph, conv, Block(), kernels)
        return best if work(graph, conv, best, kernels) <= _WORTH * plain else None

    return choose


def work(graph: Graph, conv: Op, block: Block, kernels: Kernels) -> float:
    """Multiplications that a convolution (and its pool) costs in a block, in the kernel's granularity."""
    size = sizes(graph, conv, block)
    inputs, outputs = _filled(size.inputs, kernels.inputs), _filled(size.outputs, kernels.outputs)
    factor = kernels.misaligned if inputs != size.inputs else 1.0
    vectors = size.windows * _filled(size.window_channels, kernels.outputs) / kernels.outputs
    return factor * size.positions * size.taps * inputs * outputs + vectors * _WINDOW


def _filled(count: int, step: int) -> int:
    return -(-count // step) * step
