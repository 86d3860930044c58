"""Computes a narrow convolution over blocks of neighbouring pixels, and the pool after it over channels.

int8 kernels multiply groups of four input channels by sixteen output channels at a time. A first
convolution of one channel and six outputs leaves them almost empty; over blocks of four columns it has
four inputs and twenty-four (with two rows forty-eight) outputs. The integers stay the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op, Padding
from mnist_export.quantize.rewrites.block import Block, Choose
from mnist_export.quantize.rewrites.blocks import (
    AxisPlan,
    Window,
    gathering,
    plan_gathered,
    plan_height,
    plan_width,
    toeplitz,
)
from mnist_export.quantize.rewrites.editing import GraphEditor
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class _Site:
    conv: Op
    pool: Op | None
    rows: AxisPlan
    columns: AxisPlan
    gather: AxisPlan | None = None

    @property
    def pool_size(self) -> tuple[int, int]:
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
    if not _is_plain(graph, conv):
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
        if (r, c) != (1, 1) and _site(graph, conv, block) is not None
    ]
    return tuple(sorted(found, key=lambda b: (b.rows * b.columns, b.gathered)))


def _is_plain(graph: Graph, conv: Op) -> bool:
    if conv.kind != "CONV_2D":
        return False
    source, weights = graph.tensors[conv.inputs[0]], graph.tensors[conv.inputs[1]]
    return (
        weights.data is not None
        and source.shape[3] == weights.shape[3]
        and conv.options.get("dilationHFactor", 1) == conv.options.get("dilationWFactor", 1) == 1
        and all(i < 0 or graph.tensors[i].is_constant for i in conv.inputs[2:])
    )


def _site(graph: Graph, conv: Op, block: Block) -> _Site | None:
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
        return _Site(conv=conv, pool=pool, rows=rows, columns=joined, gather=columns)
    if rows.window.padding != columns.window.padding:
        return None
    return _Site(conv=conv, pool=pool, rows=rows, columns=columns)


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
    site = _site(graph, conv, block)
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


def _can_gather(graph: Graph, conv: Op) -> bool:
    """Ones and a scale of 1 copy int8 codes in every kernel; what else would have to be shown first."""
    source = graph.tensors[conv.inputs[0]]
    weights = graph.tensors[conv.inputs[1]].quant
    return source.dtype == np.int8 and source.quant is not None and weights is not None


def block_convolution(graph: Graph, conv: Op, block: Block) -> Graph:
    """Compute one convolution (and the pool that follows) over blocks.

    Args:
        graph: a float or integer graph.
        conv: one of its CONV_2D.
        block: one of `candidates`.

    Returns:
        The graph with the same inputs, outputs and values; a graph that cannot be blocked that way is
        returned as it is.
    """
    site = _site(graph, conv, block) if _is_plain(graph, conv) else None
    if site is None:
        return graph
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op is conv:
            _blocked(editor, site)
        elif op is not site.pool:
            editor.keep(op)
    return editor.finish()


def _blocked(editor: GraphEditor, site: _Site) -> None:
    graph, conv, rows, columns = editor.graph, site.conv, site.rows, site.columns
    weights, target = graph.tensors[conv.inputs[1]], graph.tensors[conv.outputs[0]]
    repeats = rows.count * columns.count
    pool_rows, pool_columns = site.pool_size
    strides = conv.options["strideH"], conv.options["strideW"]
    entered = _entered(editor, site)
    kernel = toeplitz(weights.data, rows, columns, strides, pool_columns)  # type: ignore[arg-type]
    inputs = [entered, editor.constant(weights.name, kernel, _repeated(weights.quant, repeats))]
    for index in conv.inputs[2:]:
        bias = graph.tensors[index] if index >= 0 else None
        if bias is None or bias.data is None:
            inputs.append(index)
            continue
        inputs.append(editor.constant(bias.name, np.tile(bias.data, repeats), _repeated(bias.quant, repeats)))
    outputs = rows.window.outputs, columns.window.outputs
    made = editor.activation_like(
        conv.outputs[0], f"{target.name}/blocked", (-1, *outputs, repeats * target.shape[3])
    )
    options = dict(conv.options) | {
        "strideH": rows.window.stride, "strideW": 1, "padding": int(rows.window.padding)
    }  # fmt: skip
    editor.add("CONV_2D", tuple(inputs), (made,), conv.options_type, options)
    if site.pool is None:
        editor.reshape(made, conv.outputs[0])
        return
    # Where the block holds the pool's rows too, one window is a run of neighbours in a row.
    taken = rows.count * pool_columns
    if rows.count > 1:
        pool_rows, pool_columns = 1, taken
    groups = repeats // taken
    laid = editor.reshaped(
        made, f"{target.name}/windows", (outputs[0], outputs[1] * taken, groups * target.shape[3])
    )
    pooled = editor.activation_like(
        site.pool.outputs[0],
        f"{graph.tensors[site.pool.outputs[0]].name}/blocked",
        (-1, outputs[0] // pool_rows, outputs[1], groups * target.shape[3]),
    )
    window = {
        "filterHeight": pool_rows, "filterWidth": pool_columns, "strideH": pool_rows, "strideW": pool_columns,
        "padding": int(Padding.VALID),
    }  # fmt: skip
    editor.add("MAX_POOL_2D", (laid,), (pooled,), site.pool.options_type, dict(site.pool.options) | window)
    editor.reshape(pooled, site.pool.outputs[0])


def _entered(editor: GraphEditor, site: _Site) -> int:
    """The convolution's input in blocks, each joined with its neighbours' columns where the plan says so."""
    index, name = site.conv.inputs[0], editor.graph.tensors[site.conv.outputs[0]].name
    _, height, width, channels = editor.graph.tensors[index].shape
    plan = site.gather or site.columns
    index = editor.reshaped(index, f"{name}/blocks", (height, width // plan.block, channels * plan.block))
    if site.gather is None:
        return index
    made = editor.activation_like(
        index, f"{name}/gathered", (-1, height, plan.window.outputs, channels * site.columns.block)
    )
    ones = gathering(plan, site.columns.block, channels)
    weights = editor.constant(f"{name}/gather", ones, QuantParams.per_tensor(1.0))
    options = dict(site.conv.options) | {
        "strideH": 1, "strideW": 1, "padding": int(plan.window.padding), "fusedActivationFunction": 0,
    }  # fmt: skip
    zeros = np.zeros(ones.shape[0], np.int32)
    source = editor.tensor(index).quant
    bias = editor.constant(
        f"{name}/gather/bias", zeros, source and QuantParams.per_tensor(float(source.scale[0]))
    )
    editor.add("CONV_2D", (index, weights, bias), (made,), site.conv.options_type, options)
    return made


def _repeated(quant: QuantParams | None, times: int) -> QuantParams | None:
    if quant is None or not quant.is_per_channel:
        return quant
    return replace(quant, scale=np.tile(quant.scale, times), zero_point=np.tile(quant.zero_point, times))


def block_convolutions(graph: Graph, choose: Choose) -> Graph:
    """Compute every convolution in the block that is chosen for it.

    Args:
        graph: a float or integer graph.
        choose: gives a convolution's block, or None.

    Returns:
        The graph with the same values; the same object where nothing was chosen.
    """
    for name in [graph.tensors[op.outputs[0]].name for op in graph.ops if op.kind == "CONV_2D"]:
        conv = next(op for op in graph.ops if graph.tensors[op.outputs[0]].name == name)
        blocks = candidates(graph, conv)
        block = choose(graph, conv, blocks) if blocks else None
        if block is not None:
            graph = block_convolution(graph, conv, block)
    return graph


REWRITE = Rewrite(
    name="block_convolution",
    stage=Stage.INTEGER,
    summary="a narrow convolution computes several neighbouring outputs as channels, and the pool over them",
    apply=block_convolutions,
)
