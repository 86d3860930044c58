"""Where a convolution can be computed in blocks, with what pool behind it, and what that multiplies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnist_export.core.graph import Graph, Op, Padding
from mnist_export.quantize.rewrites.block import Block
from mnist_export.quantize.rewrites.blocks import (
    AxisPlan,
    Window,
    plan_gathered,
    plan_height,
    plan_width,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Site:
    """A convolution, and how it is computed in one block.

    Attributes:
        conv: the CONV_2D.
        pool: the max pool that is computed over channels; None where none follows or it stays as it is.
        rows: plan of the height.
        columns: plan of the width, over joined blocks where ``gather`` is set.
        gather: plan of the convolution that joins the blocks; None where they stay apart.
    """

    conv: Op
    pool: Op | None
    rows: AxisPlan
    columns: AxisPlan
    gather: AxisPlan | None = None

    @property
    def pool_size(self) -> tuple[int, int]:
        """Height and width of the pool, 1 and 1 without one."""
        if self.pool is None:
            return 1, 1
        return self.pool.options["filterHeight"], self.pool.options["filterWidth"]


def windows(graph: Graph, conv: Op) -> tuple[Window, Window]:
    """A convolution's height and width."""
    source, weights = graph.tensors[conv.inputs[0]], graph.tensors[conv.inputs[1]]
    padding = Padding(conv.options["padding"])
    return (
        Window(
            size=source.shape[1], kernel=weights.shape[1], stride=conv.options["strideH"], padding=padding
        ),
        Window(
            size=source.shape[2], kernel=weights.shape[2], stride=conv.options["strideW"], padding=padding
        ),
    )


def following_pool(graph: Graph, conv: Op) -> Op | None:
    """The max pool that alone reads a convolution, where its windows tile the map."""
    readers = graph.consumers(conv.outputs[0])
    if len(readers) != 1 or readers[0].kind != "MAX_POOL_2D" or conv.outputs[0] in graph.outputs:
        return None
    pool = readers[0]
    size = pool.options["filterHeight"], pool.options["filterWidth"]
    strides = pool.options["strideH"], pool.options["strideW"]
    shape = graph.tensors[conv.outputs[0]].shape
    tiles = size == strides and shape[1] % size[0] == 0 and shape[2] % size[1] == 0
    return pool if tiles and not pool.options.get("fusedActivationFunction", 0) else None


def candidates(graph: Graph, conv: Op) -> tuple[Block, ...]:
    """Every block that a convolution can be computed in, smallest first; empty where there is none."""
    if not is_plain(graph, conv):
        return ()
    pool = following_pool(graph, conv)
    height = graph.tensors[conv.outputs[0]].shape[1]
    width = graph.tensors[conv.outputs[0]].shape[2]
    rows = sorted({1, pool.options["filterHeight"]}) if pool is not None and height > 1 else [1]
    found = [
        block
        for r in rows
        for c in range(1, width + 1)
        for block in (Block(rows=r, columns=c), Block(rows=r, columns=c, gathered=True))
        if (r, c) != (1, 1) and site_of(graph, conv, block) is not None
    ]
    return tuple(sorted(found, key=lambda b: (b.rows * b.columns, b.gathered)))


def is_plain(graph: Graph, conv: Op) -> bool:
    """Whether it is a convolution with constant weights, one group and no dilation."""
    if conv.kind != "CONV_2D":
        return False
    source, weights = graph.tensors[conv.inputs[0]], graph.tensors[conv.inputs[1]]
    return (
        weights.data is not None
        and source.shape[3] == weights.shape[3]
        and conv.options.get("dilationHFactor", 1) == conv.options.get("dilationWFactor", 1) == 1
        and all(i < 0 or graph.tensors[i].is_constant for i in conv.inputs[2:])
    )


def site_of(graph: Graph, conv: Op, block: Block) -> Site | None:
    """How a plain convolution is computed in a block, or None where it cannot be."""
    pool = following_pool(graph, conv)
    height, width = windows(graph, conv)
    if pool is not None and block.columns % pool.options["filterWidth"]:
        pool = None
    if block.rows != 1 and (pool is None or block.rows != pool.options["filterHeight"]):
        return None
    rows, columns = plan_height(height, block.rows), plan_width(width, block.columns)
    if rows is None or columns is None:
        return None
    if block.gathered:
        if not _can_gather(graph, conv):
            return None
        joined = plan_gathered(columns, width, graph.tensors[conv.inputs[0]].shape[3])
        return Site(conv=conv, pool=pool, rows=rows, columns=joined, gather=columns)
    if rows.window.padding != columns.window.padding:
        return None
    return Site(conv=conv, pool=pool, rows=rows, columns=columns)


def _can_gather(graph: Graph, conv: Op) -> bool:
    """Ones and a scale of 1 copy int8 codes in every kernel; what else would have to be shown first."""
    source = graph.tensors[conv.inputs[0]]
    weights = graph.tensors[conv.inputs[1]].quant
    return source.dtype == np.int8 and source.quant is not None and weights is not None


@dataclass(frozen=True, kw_only=True)
class Product:
    """What one convolution multiplies: positions, taps of the kernel, input and output channels."""

    positions: int
    taps: int
    inputs: int
    outputs: int


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What a convolution costs in a block, and the pool behind it.

    Attributes:
        products: the convolutions, a gathering one first.
        windows: of the pool; 0 where none follows.
        window_channels: channels of each window.
    """

    products: tuple[Product, ...]
    windows: int = 0
    window_channels: int = 0


def sizes(graph: Graph, conv: Op, block: Block) -> Sizes:
    """The sizes of a convolution in a block; a block of one output is the convolution as it is.

    Raises:
        ValueError: the convolution cannot be computed in that block.
    """
    source, weights = graph.tensors[conv.inputs[0]], graph.tensors[conv.inputs[1]]
    outputs, channels = weights.shape[0], source.shape[3]
    pool = following_pool(graph, conv)
    pooled = graph.tensors[pool.outputs[0]].shape if pool is not None else (0, 0, 0, 0)
    windows = pooled[1] * pooled[2]
    if (block.rows, block.columns) == (1, 1):
        made = graph.tensors[conv.outputs[0]].shape
        taps = weights.shape[1] * weights.shape[2]
        plain = Product(positions=made[1] * made[2], taps=taps, inputs=channels, outputs=outputs)
        return Sizes(products=(plain,), windows=windows, window_channels=outputs)
    site = site_of(graph, conv, block)
    if site is None:
        raise ValueError(f"'{graph.tensors[conv.outputs[0]].name}' cannot be computed in {block}")
    rows, columns, reach = site.rows.window, site.columns.window, site.columns.block
    main = Product(
        positions=rows.outputs * columns.outputs,
        taps=rows.kernel * columns.kernel,
        inputs=channels * reach,
        outputs=outputs * block.rows * block.columns,
    )
    products: tuple[Product, ...] = (main,)
    if site.gather is not None:
        first = Product(
            positions=source.shape[1] * site.gather.window.outputs,
            taps=site.gather.window.kernel,
            inputs=channels * site.gather.block,
            outputs=channels * reach,
        )
        products = (first, main)
    groups = block.columns // site.pool_size[1] if site.pool is not None else 1
    return Sizes(products=products, windows=windows // groups, window_channels=outputs * groups)
