"""Copies a graph operator by operator, with room for other operators in an old one's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op, Tensor


class GraphEditor:
    """A growing copy of a graph; tensors keep their indices, operators are added in order.

    Args:
        graph: what is being rewritten; it stays as it is.
    """

    def __init__(self, graph: Graph) -> None:
        """Start with all tensors and no operators."""
        self.graph = graph
        self._tensors = list(graph.tensors)
        self._names = {t.name for t in graph.tensors}
        self._ops: list[Op] = []

    def tensor(self, index: int) -> Tensor:
        """A tensor of the copy."""
        return self._tensors[index]

    def set_tensor(self, index: int, tensor: Tensor) -> None:
        """Exchange a tensor, keeping its index."""
        self._tensors[index] = tensor

    def add_tensor(self, tensor: Tensor) -> int:
        """Append a tensor under a name that is not taken yet, and return its index."""
        name, count = tensor.name, 1
        while name in self._names:
            count += 1
            name = f"{tensor.name}_{count}"
        self._names.add(name)
        self._tensors.append(replace(tensor, name=name))
        return len(self._tensors) - 1

    def activation_like(self, index: int, name: str, shape: tuple[int, ...]) -> int:
        """Append an activation of another shape with a tensor's type and parameters."""
        return self.add_tensor(replace(self._tensors[index], name=name, shape=shape, data=None))

    def constant(self, name: str, data: npt.NDArray[Any], quant: QuantParams | None = None) -> int:
        """Append a constant."""
        return self.add_tensor(Tensor(name=name, shape=data.shape, dtype=data.dtype, data=data, quant=quant))

    def keep(self, op: Op) -> None:
        """Append an operator."""
        self._ops.append(op)

    def add(
        self,
        kind: str,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        options_type: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Append a new operator."""
        self._ops.append(
            Op(
                kind=kind,
                inputs=inputs,
                outputs=outputs,
                options_type=options_type,
                options=MappingProxyType(dict(options or {})),
            )
        )

    def reshape(self, source: int, target: int) -> None:
        """Append a RESHAPE to an existing tensor's shape, the batch free."""
        sizes = np.array([-1, *self._tensors[target].shape[1:]], np.int32)
        shape = self.constant(f"{self._tensors[target].name}/shape", sizes)
        self.add("RESHAPE", (source, shape), (target,), "ReshapeOptions", {"newShape": sizes.tolist()})

    def reshaped(self, source: int, name: str, sizes: tuple[int, ...]) -> int:
        """A tensor with the same elements in another shape; the source itself where the shape is its own.

        Args:
            source: tensor index.
            name: of the new tensor.
            sizes: the shape without the batch.
        """
        if self._tensors[source].shape[1:] == sizes:
            return source
        target = self.activation_like(source, name, (-1, *sizes))
        self.reshape(source, target)
        return target

    def padded(self, source: int, name: str, rows: tuple[int, int], columns: tuple[int, int]) -> int:
        """A tensor with zeros (in real units) around its second and third axis, or the source itself.

        Args:
            source: index of a tensor of rank 3 or 4.
            name: of the layer that the padding is for.
            rows: before and after, along the second axis.
            columns: before and after, along the third axis.
        """
        if not any((*rows, *columns)):
            return source
        _, height, width, *rest = self._tensors[source].shape
        shape = (-1, height + sum(rows), width + sum(columns), *rest)
        target = self.activation_like(source, f"{name}/padded", shape)
        table = self.constant(
            f"{name}/pads", np.array([(0, 0), rows, columns, *[(0, 0)] * len(rest)], np.int32)
        )
        self.add("PAD", (source, table), (target,), "PadOptions", {})
        return target

    def finish(self) -> Graph:
        """The rewritten graph without what nobody reads any more."""
        return Graph(
            tensors=tuple(self._tensors),
            ops=tuple(self._ops),
            inputs=self.graph.inputs,
            outputs=self.graph.outputs,
        ).pruned()
