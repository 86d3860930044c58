"""Computes a narrow convolution over blocks of neighbouring pixels, and the pool after it over channels.

int8 kernels multiply groups of four input channels by sixteen output channels at a time. A first
convolution of one channel and six outputs leaves them almost empty; over blocks of four columns it has
four inputs and twenty-four (with two rows forty-eight) outputs. The integers stay the same.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op, Padding
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.quantize.rewrites.block import Block, Choose
from mnist_export.quantize.rewrites.block_site import Site, candidates, is_plain, site_of
from mnist_export.quantize.rewrites.blocks import gathering, toeplitz
from mnist_export.quantize.rewrites.rewrite import Rewrite, Stage


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
    site = site_of(graph, conv, block) if is_plain(graph, conv) else None
    if site is None:
        return graph
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op is conv:
            _blocked(editor, site)
        elif op is not site.pool:
            editor.keep(op)
    return editor.finish()


def _blocked(editor: GraphEditor, site: Site) -> None:
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


def _entered(editor: GraphEditor, site: Site) -> int:
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
