"""A graph under change: a copy of its tables that grows operator by operator, or is changed in place."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op, Tensor


class GraphEditor:
    """A copy of a graph's tables; tensors keep their indices, new ones are appended.

    It starts without operators, for passes that add them in order; `in_place` starts with all of them.

    Attributes:
        graph: what is being rewritten; it stays as it is.
        ops: the operators in execution order.
        inputs: indices of the graph's inputs.
        outputs: indices of the graph's outputs.
    """

    def __init__(self, graph: Graph) -> None:
        """Start with all tensors and no operators."""
        self.graph = graph
        self.ops: list[Op] = []
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        self._tensors = list(graph.tensors)
        self._names = {t.name for t in graph.tensors}
        self._added: set[str] = set()

    @classmethod
    def in_place(cls, graph: Graph) -> GraphEditor:
        """Start with all tensors and all operators."""
        editor = cls(graph)
        editor.ops = list(graph.ops)
        return editor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors as they stand."""
        return tuple(self._tensors)

    def tensor(self, index: int) -> Tensor:
        """A tensor of the copy."""
        return self._tensors[index]

    def producer(self, tensor: int) -> Op | None:
        """The operator that writes a tensor."""
        return next((op for op in self.ops if tensor in op.outputs), None)

    def consumers(self, tensor: int) -> list[Op]:
        """The operators that read a tensor."""
        return [op for op in self.ops if tensor in op.inputs]

    def is_private(self, tensor: int) -> bool:
        """Whether one operator alone reads a tensor, and the caller does not."""
        return len(self.consumers(tensor)) == 1 and tensor not in self.outputs

    def set_tensor(self, index: int, tensor: Tensor) -> None:
        """Exchange a tensor, keeping its index."""
        self._tensors[index] = tensor

    def add_tensor(self, tensor: Tensor) -> int:
        """Append a tensor under a name that is not taken yet, and return its index."""
        name, count = tensor.name, 1
        while name in self._names:
            count += 1
            name = f"{tensor.name}_{count}"
        return self._append(tensor, name)

    def add_successor(self, tensor: Tensor) -> int:
        """Append a tensor under its own name, even if that is an old tensor's, and return its index.

        The old one may not be read any more. A second such tensor is numbered.
        """
        name, count = tensor.name, 1
        while name in self._added or (count > 1 and name in self._names):
            count += 1
            name = f"{tensor.name}_{count}"
        return self._append(tensor, name)

    def _append(self, tensor: Tensor, name: str) -> int:
        self._names.add(name)
        self._added.add(name)
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
        self.ops.append(op)

    def add(
        self,
        kind: str,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        options_type: str = "",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Append a new operator."""
        self.ops.append(
            Op(
                kind=kind,
                inputs=inputs,
                outputs=outputs,
                options_type=options_type,
                options=MappingProxyType(dict(options or {})),
            )
        )

    def exchange(self, old: Op, *new: Op) -> None:
        """Put operators in another's place."""
        position = self.ops.index(old)
        self.ops[position : position + 1] = new

    def remove(self, op: Op) -> None:
        """Take an operator out; the caller sees to its consumers."""
        self.ops.remove(op)

    def bypass(self, op: Op) -> None:
        """Take an operator out; its consumers read its first input instead."""
        self.ops.remove(op)
        (old,) = op.outputs
        self.redirect(old, op.inputs[0])

    def redirect(self, old: int, new: int, *, kinds: Container[str] | None = None) -> None:
        """Let operators read another tensor.

        Args:
            old: the tensor that they read.
            new: the one that they shall read.
            kinds: only operators of these kinds; all where None.
        """
        self.ops = [
            replace(op, inputs=tuple(new if i == old else i for i in op.inputs))
            if old in op.inputs and (kinds is None or op.kind in kinds)
            else op
            for op in self.ops
        ]

    def set_result(self, op: Op, *, outputs: tuple[int, ...], activation: int) -> None:
        """Give an operator other outputs and another fused activation."""
        position = next(i for i, o in enumerate(self.ops) if o.outputs == op.outputs)
        options = dict(self.ops[position].options) | {"fusedActivationFunction": int(activation)}
        self.ops[position] = replace(self.ops[position], outputs=outputs, options=options)

    def reshape_op(self, source: int, target: int) -> Op:
        """A RESHAPE to an existing tensor's shape, the batch free; it is not appended."""
        sizes = np.array([-1, *self._tensors[target].shape[1:]], np.int32)
        shape = self.constant(f"{self._tensors[target].name}/shape", sizes)
        return Op(
            kind="RESHAPE",
            inputs=(source, shape),
            outputs=(target,),
            options_type="ReshapeOptions",
            options=MappingProxyType({"newShape": sizes.tolist()}),
        )

    def reshape(self, source: int, target: int) -> None:
        """Append a RESHAPE to an existing tensor's shape, the batch free."""
        self.keep(self.reshape_op(source, target))

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

    def snapshot(self) -> Graph:
        """The graph as it stands; tensors keep their indices."""
        return Graph(
            tensors=tuple(self._tensors), ops=tuple(self.ops), inputs=self.inputs, outputs=self.outputs
        )

    def finish(self) -> Graph:
        """The rewritten graph without what nobody reads any more."""
        return self.snapshot().pruned()
