"""The graph that schemes transform and exporters write: operators follow TFLite's semantics.

Layouts are TFLite's: activations NHWC, Conv2D weights OHWI, depthwise weights 1HWC, fully connected
weights (out, in). Reference: tensorflow/lite/schema/schema.fbs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams


class Padding(IntEnum):
    """``Padding`` of the TFLite schema."""

    SAME = 0
    VALID = 1


class Activation(IntEnum):
    """``ActivationFunctionType`` of the TFLite schema."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Tensor:
    """One value of a graph.

    Attributes:
        name: unique within the graph.
        shape: sizes; -1 stands for the batch.
        dtype: element type.
        data: the constant's value, or None for an activation.
        quant: scale and zero point, or None for a float tensor.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    data: npt.NDArray[Any] | None = None
    quant: QuantParams | None = None

    @property
    def is_constant(self) -> bool:
        """Whether the value is known at conversion time."""
        return self.data is not None

    def real(self) -> npt.NDArray[np.float32]:
        """The constant's value in real units, float32, dequantized where needed."""
        if self.data is None:
            raise ValueError(f"tensor '{self.name}' is not a constant")
        if self.quant is None:
            return self.data.astype(np.float32)
        return self.quant.dequantize(self.data)


@dataclass(frozen=True, kw_only=True, eq=False)
class Op:
    """One operator.

    Attributes:
        kind: the TFLite builtin operator's name, such as ``"CONV_2D"``.
        inputs: tensor indices; -1 where an optional input is absent.
        outputs: tensor indices.
        options_type: name of the schema's options table, or ``""``.
        options: that table's fields by their schema names (``strideW``, ``padding``, ...).
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: str = ""
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """Operators in execution order over a table of tensors; immutable, changed by copying.

    Attributes:
        tensors: every value; operators refer to it by index.
        ops: in an order in which each operator's inputs are ready.
        inputs: indices of the graph's inputs.
        outputs: indices of the graph's outputs.
    """

    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def producer(self, tensor: int) -> Op | None:
        """The operator that writes a tensor, or None for inputs and constants."""
        return self._producers.get(tensor)

    def consumers(self, tensor: int) -> tuple[Op, ...]:
        """The operators that read a tensor, in execution order."""
        return self._consumers.get(tensor, ())

    @cached_property
    def _producers(self) -> Mapping[int, Op]:
        found: dict[int, Op] = {}
        for op in self.ops:
            for index in op.outputs:
                found.setdefault(index, op)
        return found

    @cached_property
    def _consumers(self) -> Mapping[int, tuple[Op, ...]]:
        found: dict[int, list[Op]] = {}
        for op in self.ops:
            for index in dict.fromkeys(op.inputs):
                found.setdefault(index, []).append(op)
        return {index: tuple(ops) for index, ops in found.items()}

    def activations(self) -> Iterator[int]:
        """Indices of all tensors computed at run time: inputs first, then in execution order."""
        yield from self.inputs
        for op in self.ops:
            yield from op.outputs

    def with_tensors(self, changes: Mapping[int, Tensor]) -> Graph:
        """A copy with some tensors exchanged."""
        return replace(self, tensors=tuple(changes.get(i, t) for i, t in enumerate(self.tensors)))

    def pruned(self) -> Graph:
        """A copy without operators whose results nobody reads, and without unused tensors."""
        needed = set(self.outputs)
        kept: list[Op] = []
        for op in reversed(self.ops):
            if needed.intersection(op.outputs):
                kept.append(op)
                needed.update(i for i in op.inputs if i >= 0)
        kept.reverse()
        used = sorted(needed | set(self.inputs) | {o for op in kept for o in op.outputs})
        index = {old: new for new, old in enumerate(used)} | {-1: -1}
        return Graph(
            tensors=tuple(self.tensors[i] for i in used),
            ops=tuple(
                replace(
                    op,
                    inputs=tuple(index[i] for i in op.inputs),
                    outputs=tuple(index[i] for i in op.outputs),
                )
                for op in kept
            ),
            inputs=tuple(index[i] for i in self.inputs),
            outputs=tuple(index[i] for i in self.outputs),
        )
