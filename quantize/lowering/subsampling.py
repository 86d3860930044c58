"""Convolutions of one pixel that skip pixels: apart while a network is trained, one operator in a graph.

TensorFlow 2.21's oneDNN kernel for the weights' gradient of such a convolution writes outside of its
memory where the last pixels are skipped (1x1, stride 2, 28 to 14 pixels: the process dies). A pool of
one pixel with the same strides, then a convolution without, is the same function.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from mnist_export.core.graph import Activation, Graph, Op


def skips_pixels(settings: dict[str, Any]) -> bool:
    """Whether a Conv2D's settings say one pixel and strides above 1.

    Args:
        settings: Keras's own, ``kernel_size`` and ``strides`` among them.
    """
    return set(_pair(settings["kernel_size"])) == {1} and max(_pair(settings["strides"])) > 1


def _pair(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (list, tuple)) else (int(value),)


def join_subsampling(graph: Graph) -> Graph:
    """Give each 1x1 convolution behind a 1x1 pool the pool's strides, and leave the pool out.

    Args:
        graph: float or quantized; integers stay as they are.
    """
    ops: list[Op] = []
    for op in graph.ops:
        pool = graph.producer(op.inputs[0]) if _is_pointwise(graph, op) else None
        if pool is None or not _only_skips(graph, pool):
            ops.append(op)
            continue
        strides = {key: pool.options[key] for key in ("strideH", "strideW")}
        options = MappingProxyType(dict(op.options) | strides)
        ops.append(replace(op, inputs=(pool.inputs[0], *op.inputs[1:]), options=options))
    return replace(graph, ops=tuple(ops)).pruned()


def _is_pointwise(graph: Graph, op: Op) -> bool:
    if op.kind != "CONV_2D" or int(op.options["strideH"]) != 1 or int(op.options["strideW"]) != 1:
        return False
    return graph.tensors[op.inputs[1]].shape[1:3] == (1, 1)


def _only_skips(graph: Graph, pool: Op) -> bool:
    if pool.kind != "MAX_POOL_2D":
        return False
    options = pool.options
    if (int(options["filterHeight"]), int(options["filterWidth"])) != (1, 1):
        return False
    if int(options.get("fusedActivationFunction", 0)) != Activation.NONE:
        return False
    before, after = (graph.tensors[i].quant for i in (pool.inputs[0], pool.outputs[0]))
    if before is None or after is None:
        return before is after
    return before.scale.tolist() == after.scale.tolist() and bool(
        before.zero_point.tolist() == after.zero_point.tolist()
    )
