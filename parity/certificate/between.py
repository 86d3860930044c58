"""Follows what stands between the codes of a .tflite file: tables, and float32 that keeps off ties."""

from __future__ import annotations

from typing import Final

import numpy as np

from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.parity.certificate.layer import CertifiedLayer
from mnist_export.parity.certificate.rules import Codes, broken, certify_lookup, certify_rounded
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
        tensors = self._graph.tensors
        if not op.outputs or not op.inputs:
            return None
        source, target = tensors[op.inputs[0]], tensors[op.outputs[0]]
        name = target.name
        if op.kind == "QUANTIZE" and op.inputs[0] in self._reals:
            codes = codes_of(target)
            if codes is None:
                return broken(name, op.kind, "has no one scale")
            return certify_rounded(name, op.kind, self._reals[op.inputs[0]], codes)
        if op.kind == "CAST" and target.dtype == np.int32 and source.dtype in (np.int8, np.uint8):
            info = np.iinfo(source.dtype)
            self._places[op.outputs[0]] = (int(info.min), int(info.max))
            return CertifiedLayer(name=name, operator=op.kind, how="whole numbers stay what they are")
        if op.kind == "ADD" and target.dtype == np.int32:
            return self._offset(op, name)
        if op.kind == "GATHER" and source.data is not None:
            places = self._places.get(op.inputs[1])
            if places is None:
                return broken(name, op.kind, "gathers places that are not an 8-bit code")
            return certify_lookup(name, op.kind, source.data, places)
        if target.dtype == np.float32 and op.outputs[0] not in self._graph.outputs:
            return self._real(op, name)
        return None

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
        return CertifiedLayer(name=name, operator=op.kind, how="whole numbers stay what they are")

    def _real(self, op: Op, name: str) -> CertifiedLayer | None:
        values = values_of(self._graph, op, self._reals)
        if values is None:
            return broken(name, op.kind, "computes float32 values between codes that cannot be followed")
        self._reals[op.outputs[0]] = values
        exact = (
            "float32 holds every value" if values.is_exact else f"off by at most {float(values.error):.2g}"
        )
        return CertifiedLayer(name=name, operator=op.kind, how=f"float32 between codes, {exact}")
