"""Follows what stands between the codes of a .tflite file: tables, and float32 that keeps off ties."""

from __future__ import annotations

from typing import Final

import numpy as np

from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.parity.certificate.layer import CertifiedLayer
from mnist_export.parity.certificate.rules import (
    Codes,
    broken,
    certify_lookup,
    certify_real,
    certify_rounded,
    whole_numbers,
)
from mnist_export.quantize.exact.between import values_of
from mnist_export.quantize.exact.reals import Reals

_INT32: Final = np.iinfo(np.int32)


def codes_of(tensor: Tensor) -> Codes | None:
    """How a tensor's integers stand for real values; None where they have no one scale."""
    if tensor.quant is None or tensor.quant.is_per_channel or tensor.dtype.kind not in "iu":
        return None
    return Codes(
        scale=float(tensor.quant.scale[0]), zero_point=int(tensor.quant.zero_point[0]), dtype=tensor.dtype
    )


class Between:
    """Walks a graph's operators in order, keeping what its float32 and its int32 values can be."""

    def __init__(self, graph: Graph) -> None:
        """Start at the graph's inputs."""
        self._graph = graph
        self._reals: dict[int, Reals] = {}
        self._places: dict[int, tuple[int, int]] = {}

    def layer(self, op: Op) -> CertifiedLayer | None:
        """Certify one operator between codes; None where it is none such."""
        if not op.outputs or not op.inputs:
            return None
        source, target = self._graph.tensors[op.inputs[0]], self._graph.tensors[op.outputs[0]]
        found: CertifiedLayer | None = None
        if op.kind == "QUANTIZE" and op.inputs[0] in self._reals:
            codes = codes_of(target)
            found = (
                certify_rounded(target.name, op.kind, self._reals[op.inputs[0]], codes)
                if codes is not None
                else broken(target.name, op.kind, "has no one scale")
            )
        elif op.kind == "CAST" and target.dtype == np.int32 and source.dtype in (np.int8, np.uint8):
            info = np.iinfo(source.dtype)
            self._places[op.outputs[0]] = (int(info.min), int(info.max))
            found = whole_numbers(target.name, op.kind)
        elif op.kind == "ADD" and target.dtype == np.int32:
            found = self._offset(op, target.name)
        elif op.kind == "GATHER" and source.data is not None:
            found = certify_lookup(target.name, op.kind, source.data, self._places.get(op.inputs[1]))
        elif target.dtype == np.float32 and op.outputs[0] not in self._graph.outputs:
            found = self._real(op, target.name)
        return found

    def _offset(self, op: Op, name: str) -> CertifiedLayer:
        """An int32 code plus a constant."""
        known = [self._places[i] for i in op.inputs if i in self._places]
        constants = [self._graph.tensors[i].data for i in op.inputs if i not in self._places]
        amount = constants[0] if len(constants) == 1 else None
        if len(known) != 1 or amount is None or amount.size != 1:
            return broken(name, op.kind, "adds integers of 32 bits that are no code and a constant")
        lo, hi = (end + int(amount.ravel()[0]) for end in known[0])
        if lo < _INT32.min or hi > _INT32.max:
            return broken(name, op.kind, "overflows 32 bits")
        self._places[op.outputs[0]] = (lo, hi)
        return whole_numbers(name, op.kind)

    def _real(self, op: Op, name: str) -> CertifiedLayer:
        values = values_of(self._graph, op, self._reals)
        if values is not None:
            self._reals[op.outputs[0]] = values
        return certify_real(name, op.kind, values)
