"""What pruning and clustering left in a network: zeros, distinct weights, size raw and under gzip."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mnist_export.core.graph import Graph
from mnist_export.quantize.network.layers import layer_name, weighted_ops


@dataclass(frozen=True, kw_only=True)
class WeightFigures:
    """Counts over the kernels of a network; biases are left out, as tfmot leaves them.

    Attributes:
        sparsity: share of weights that are 0, a fraction of 1.
        layer_sparsity: the same by layer.
        distinct_weights: layer to how many different values its kernel holds; integers are counted as
            integers, so two channels that use one code at different scales share it.
    """

    sparsity: float
    layer_sparsity: Mapping[str, float]
    distinct_weights: Mapping[str, int]


def weight_figures(graph: Graph) -> WeightFigures:
    """Count zeros and distinct weights.

    Args:
        graph: float or quantized.
    """
    zeros, total = 0, 0
    shares: dict[str, float] = {}
    distinct: dict[str, int] = {}
    for op in weighted_ops(graph):
        data = graph.tensors[op.inputs[1]].data
        if data is None:
            continue
        name = layer_name(graph, op)
        none = int(np.count_nonzero(data == 0))
        zeros, total = zeros + none, total + data.size
        shares[name] = none / data.size
        distinct[name] = len(np.unique(data))
    return WeightFigures(
        sparsity=zeros / total if total else 0.0, layer_sparsity=shares, distinct_weights=distinct
    )


def gzip_bytes(content: bytes) -> int:
    """Size under gzip at its strongest; the same content gives the same size."""
    return len(gzip.compress(content, compresslevel=9, mtime=0))
