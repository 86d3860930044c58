"""The proof of float rewrites allows what float32's rounding does to the network at hand, and no more."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.quantize.rewrites import proof

F32 = np.dtype(np.float32)


def graph_of(kind):
    tensors = (Tensor(name="x", shape=(-1, 4), dtype=F32), Tensor(name="y", shape=(-1, 4), dtype=F32))
    return Graph(tensors=tensors, ops=(Op(kind=kind, inputs=(0,), outputs=(1,)),), inputs=(0,), outputs=(1,))


def prove(monkeypatch, *, rewritten, other_kernels):
    """Prove with outputs of 1 that a rewrite, or other kernels, change by so much."""
    before, after = graph_of("RELU"), graph_of("ABS")

    def outputs(graph, inputs, *, builtin=True):
        change = rewritten if graph is after else 0.0 if builtin else other_kernels
        return np.full((len(inputs), 4), 1.0 + change, np.float32)

    monkeypatch.setattr(proof, "outputs_of", outputs)
    proof.prove(before, after, "a test")


@pytest.mark.parametrize(("rewritten", "other_kernels"), [(5e-5, 0.0), (3e-4, 1e-4), (9e-3, 5e-3)])
def test_rounding_passes(monkeypatch, rewritten, other_kernels):
    prove(monkeypatch, rewritten=rewritten, other_kernels=other_kernels)


@pytest.mark.parametrize(("rewritten", "other_kernels"), [(3e-4, 1e-5), (2e-2, 1e-1)])
def test_more_than_rounding_is_refused(monkeypatch, rewritten, other_kernels):
    with pytest.raises(ConversionError, match="no_rewrites=True"):
        prove(monkeypatch, rewritten=rewritten, other_kernels=other_kernels)
