"""A graph under change: what the rewriting passes of the exact scheme share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Activation, Graph, Op, Tensor
from mnist_export.quantize.network.geometry import Window, window_of

AFFINE: Final = "AFFINE"


def activation_of(op: Op) -> Activation:
    """The operator's fused activation."""
    return Activation(op.options.get("fusedActivationFunction", 0))


def refusal(graph: Graph, op: Op, what: str) -> UnsupportedError:
    """The error for a layer that has no exact form."""
    name = graph.tensors[op.outputs[0]].name
    return UnsupportedError(
        f"exact int8: layer '{name}' is {what}, on which kernels round differently. Replace the layer, or "
        "leave --exact out for ordinary int8."
    )


class Editor:
    """A mutable copy of a graph's tables.

    Attributes:
        tensors: the tensors; indices stay valid, new ones are appended.
        ops: the operators in execution order.
        inputs: indices of the graph's inputs.
        outputs: indices of the graph's outputs.
    """

    def __init__(self, graph: Graph) -> None:
        """Copy a graph's tables."""
        self.tensors = list(graph.tensors)
        self.ops = list(graph.ops)
        self.inputs = graph.inputs
        self.outputs = graph.outputs

    def graph(self) -> Graph:
        """The graph as it stands."""
        return Graph(
            tensors=tuple(self.tensors), ops=tuple(self.ops), inputs=self.inputs, outputs=self.outputs
        )

    def producer(self, tensor: int) -> Op | None:
        """The operator that writes a tensor."""
        return next((op for op in self.ops if tensor in op.outputs), None)

    def consumers(self, tensor: int) -> list[Op]:
        """The operators that read a tensor."""
        return [op for op in self.ops if tensor in op.inputs]

    def is_private(self, tensor: int) -> bool:
        """Whether one operator alone reads a tensor, and the caller does not."""
        return len(self.consumers(tensor)) == 1 and tensor not in self.outputs

    def tensor(self, tensor: Tensor) -> int:
        """Append a tensor and return its index."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, name: str, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> int:
        """Append a constant and return its index; the name is made unique."""
        data = np.asarray(values).astype(dtype)
        taken = {t.name for t in self.tensors}
        unique, count = name, 1
        while unique in taken:
            count += 1
            unique = f"{name}_{count}"
        return self.tensor(Tensor(name=unique, shape=data.shape, dtype=data.dtype, data=data))

    def exchange(self, old: Op, *new: Op) -> None:
        """Put operators in another's place."""
        position = self.ops.index(old)
        self.ops[position : position + 1] = list(new)

    def remove(self, op: Op) -> None:
        """Take an operator out; the caller sees to its consumers."""
        self.ops.remove(op)

    def replace_op(self, op: Op, *, outputs: tuple[int, ...], activation: int) -> None:
        """Give an operator other outputs and another fused activation."""
        position = next(i for i, o in enumerate(self.ops) if o.outputs == op.outputs)
        options = dict(self.ops[position].options) | {"fusedActivationFunction": int(activation)}
        self.ops[position] = replace(self.ops[position], outputs=outputs, options=options)

    def bypass(self, op: Op) -> None:
        """Take an operator out; its consumers read its input instead."""
        self.ops.remove(op)
        (old,), new = op.outputs, op.inputs[0]
        self.ops = [
            replace(o, inputs=tuple(new if i == old else i for i in o.inputs)) if old in o.inputs else o
            for o in self.ops
        ]

    def window(self, op: Op) -> Window:
        """The window of a convolution."""
        weights, source = self.tensors[op.inputs[1]].shape, self.tensors[op.inputs[0]].shape
        return window_of(op, source[1:3], (weights[1], weights[2]))

    def real_weights(self, op: Op) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Weights and bias of a layer in real units; zeros where it has no bias."""
        weights = self.tensors[op.inputs[1]].real().astype(np.float64)
        if len(op.inputs) > 2 and op.inputs[2] >= 0:
            return weights, self.tensors[op.inputs[2]].real().astype(np.float64)
        return weights, np.zeros(weights.shape[3 if op.kind == "DEPTHWISE_CONV_2D" else 0])

    def set_weights(self, op: Op, weights: npt.NDArray[np.float64], bias: npt.NDArray[np.float64]) -> None:
        """Give a layer weights and a bias of its own, float32."""
        name = self.tensors[op.outputs[0]].name
        kernel = self.constant(f"{name}/kernel", weights)
        shift = self.constant(f"{name}/bias", bias)
        self.exchange(op, replace(op, inputs=(op.inputs[0], kernel, shift)))

    def scale_outputs(self, op: Op, gain: npt.NDArray[Any], shift: npt.NDArray[Any]) -> None:
        """Fold ``gain * y + shift`` of a layer's own output into its weights."""
        weights, bias = self.real_weights(op)
        axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
        shape = [1] * weights.ndim
        shape[axis] = -1
        self.set_weights(op, weights * gain.reshape(shape), bias * gain + shift)

    def scale_inputs(self, op: Op, gain: npt.NDArray[Any], shift: npt.NDArray[Any]) -> None:
        """Fold ``gain * x + shift`` of a layer's input into its weights and bias."""
        weights, bias = self.real_weights(op)
        if op.kind == "DEPTHWISE_CONV_2D":
            repeat = weights.shape[3] // gain.size
            wide, offset = np.repeat(gain, repeat), np.repeat(shift, repeat)
            self.set_weights(op, weights * wide, bias + weights.sum(axis=(0, 1, 2)) * offset)
            return
        repeat = weights.shape[-1] // gain.size
        wide, offset = np.tile(gain, repeat), np.tile(shift, repeat)
        others = tuple(range(1, weights.ndim))
        self.set_weights(op, weights * wide, bias + (weights * offset).sum(axis=others))

    def reshape(self, source: int, target: int) -> Op:
        """A RESHAPE to a tensor's own shape, the batch free."""
        shape = np.array([-1, *self.tensors[target].shape[1:]], np.int32)
        constant = self.constant(f"{self.tensors[target].name}/shape", shape, np.int32)
        return Op(
            kind="RESHAPE",
            inputs=(source, constant),
            outputs=(target,),
            options_type="ReshapeOptions",
            options={"newShape": shape.tolist()},
        )
