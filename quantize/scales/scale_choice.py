"""The scales of a graph's activations while they are being chosen: shared by groups, settled one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams, asymmetric
from mnist_export.core.graph import Graph
from mnist_export.core.graph.operators import operator

_CODES = 255
_WIDENED = 16  # by 1/15 at most
_BETTER = 0.99  # of the error: else the finer scale is as good


class ScaleChoice:
    """Parameters by tensor, of which those that are settled may not move any more.

    Args:
        graph: of floats, or of int8 that another tool quantized.
        params: of its activations, by tensor index.
        group: tensor index to the representative of those that must share one scale.
    """

    def __init__(self, graph: Graph, params: Mapping[int, QuantParams], group: Mapping[int, int]) -> None:
        """Settle the pixels' scale, and those that an operator prescribes."""
        self.graph = graph
        self.params = dict(params)
        self._group = group
        self._settled = {self.root(index) for index in group if self._is_fixed(index)}

    def root(self, index: int) -> int:
        """The representative of a tensor's group; a constant is a group of its own."""
        return self._group.get(index, index)

    def is_settled(self, index: int) -> bool:
        """Whether a tensor's scale may not move any more."""
        return self.root(index) in self._settled

    def of(self, index: int) -> QuantParams | None:
        """A tensor's parameters: an activation's, or what a constant would get."""
        return self.params.get(index) or self._of_constant(index)

    def scale(self, index: int) -> float:
        """A tensor's scale, or 0 where it has none."""
        found = self.of(index)
        return 0.0 if found is None else float(found.scale[0])

    def code_of_scalar(self, index: int) -> int:
        """A constant's one code, less its zero point, without its sign; 0 where it is no single number."""
        data, found = self.graph.tensors[index].data, self.of(index)
        if data is None or found is None or not np.all(data == data.flat[0]):
            return 0
        codes = data if data.dtype == np.int8 else found.quantize(data, np.int8)
        return abs(int(codes.flat[0]) - int(found.zero_point[0]))

    def settle(self, scales: Mapping[int, float]) -> None:
        """Give tensors and their groups these scales for good; zero points stay.

        Args:
            scales: by tensor index.
        """
        roots = {self.root(index): np.float32(scale) for index, scale in scales.items()}
        for index in scales:
            found = self.of(index)
            if found is not None:
                self.params.setdefault(index, found)
        for index, quant in self.params.items():
            if self.root(index) in roots:
                self.params[index] = replace(quant, scale=np.array([roots[self.root(index)]], np.float32))
        self._settled.update(roots)

    def _is_fixed(self, index: int) -> bool:
        producer = self.graph.producer(index)
        return index in self.graph.inputs or (
            producer is not None and operator(producer.kind).output is not None
        )

    def _of_constant(self, index: int) -> QuantParams | None:
        data, quant = self.graph.tensors[index].data, self.graph.tensors[index].quant
        if data is not None and quant is not None and not quant.is_per_channel:
            return quant
        if data is None or data.dtype != np.float32:
            return None
        return constant_params(data)


def constant_params(data: npt.NDArray[np.float32]) -> QuantParams:
    """Scale and zero point under which the codes of a constant are nearest to its values.

    A scale that is a little wider than the extremes ask for may hold all of few distinct values exactly, such
    as 1, 1.5 and 2.25.

    Args:
        data: of any shape, real units; it becomes int8.
    """
    lo, hi = float(data.min()), float(data.max())
    widest = asymmetric(lo, hi, np.int8)
    best, least = widest, np.inf
    for steps in range(_CODES, _CODES - _WIDENED, -1):
        made = replace(widest, scale=np.asarray(widest.scale * (_CODES / steps), np.float32))
        error = float(np.square(made.dequantize(made.quantize(data, np.int8)) - data).sum())
        if error < least * _BETTER:
            best, least = made, error
    return best
