"""Builds a graph of integers from a float graph, once the scales of its activations are chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operators import operator
from mnist_export.core.kinds import Precision
from mnist_export.quantize.network.functions import Function
from mnist_export.quantize.network.scheme import SchemeConfig
from mnist_export.quantize.post_training.lookup import OFFSET, lookup_ops, table_of
from mnist_export.quantize.post_training.weights import quantize_weights
from mnist_export.quantize.scales.scale_choice import constant_params

_BIAS_LIMIT = 2**30
"""Quantized biases stay below this, so that adding the products cannot overflow 32 bits."""


def activation_dtype(config: SchemeConfig) -> np.dtype[Any]:
    """The integer type of activations: int16 for int16x8, else int8."""
    return np.dtype(np.int16 if config.precision == Precision.INT16X8 else np.int8)


def symmetric_params(lo: float, hi: float, dtype: np.dtype[Any]) -> QuantParams:
    """Parameters with zero point 0 whose codes reach both ends of a range."""
    bound = max(abs(lo), abs(hi))
    return QuantParams.per_tensor(bound / np.iinfo(dtype).max if bound > 0 else 1.0)


class IntegerBuilder:
    """Builds the quantized graph operator by operator."""

    def __init__(self, graph: Graph, params: Mapping[int, QuantParams], config: SchemeConfig) -> None:
        """Give the graph's inputs their codes.

        Args:
            graph: the float graph.
            params: of every activation.
            config: the scheme's settings.
        """
        self._graph = graph
        self._editor = GraphEditor(graph)
        self._params = params
        self._config = config
        self._dtype = activation_dtype(config)
        # Float graph's tensor index to the index of its integer form, and to that of its float form.
        self._codes: dict[int, int] = {}
        self._float: dict[int, int] = {}
        # Float weights to the integer forms that operators read.
        self._shared: dict[int, list[int]] = {}
        for index in graph.inputs:
            self._editor.set_tensor(index, self._as_codes(index))
            self._codes[index] = index

    def _as_codes(self, index: int) -> Tensor:
        tensor = self._graph.tensors[index]
        return replace(tensor, dtype=self._dtype, quant=self._params[index])

    def add(self, op: Op, *, is_float: bool) -> None:
        """Add an operator in integers, or in float between codes."""
        if is_float or not all(self._graph.tensors[i].dtype == np.float32 for i in op.outputs):
            self._editor.keep(replace(op, inputs=tuple(self._float_of(i) for i in op.inputs)))
            self._float |= {i: i for i in op.outputs}
            return
        inputs = [self._codes_of(i) for i in op.inputs]
        axis = operator(op.kind).weight_axis
        if axis is not None:
            inputs = self._weighted(op, inputs, axis)
        for index in op.outputs:
            self._editor.set_tensor(index, self._as_codes(index))
            self._codes[index] = index
        self._editor.keep(replace(op, inputs=tuple(inputs)))

    def add_lookup(self, made: Function) -> None:
        """Add a function of single values as a table of its codes."""
        graph, target = self._graph, made.target
        codes = self._codes_of(made.source)
        name = graph.tensors[target].name
        before, after = self._editor.tensor(codes).quant, self._params[target]
        if before is None:
            raise UnsupportedError(f"int8: layer '{name}' reads a value without codes.")
        table = table_of(graph, made, before, after)
        places = np.dtype(np.int32)
        shape = graph.tensors[target].shape
        signed, index = (
            self._editor.add_successor(Tensor(name=f"{name}/{role}", shape=shape, dtype=places))
            for role in ("signed", "place")
        )
        offset = self._editor.add_successor(
            Tensor(name=f"{name}/offset", shape=(), dtype=places, data=np.array(OFFSET, np.int32))
        )
        data = self._editor.add_successor(
            Tensor(name=f"{name}/table", shape=table.shape, dtype=table.dtype, data=table, quant=after)
        )
        self._editor.set_tensor(target, self._as_codes(target))
        self._codes[target] = target
        for op in lookup_ops(codes, (signed, index), offset, data, target):
            self._editor.keep(op)

    def _codes_of(self, index: int) -> int:
        if index < 0 or self._graph.tensors[index].dtype != np.float32:
            return index
        if index not in self._codes:
            if self._graph.tensors[index].is_constant:
                self._codes[index] = index  # weights and biases; other constants below
            else:
                made = self._editor.add_successor(
                    replace(self._as_codes(index), name=f"{self._graph.tensors[index].name}/codes")
                )
                self._editor.add("QUANTIZE", (index,), (made,))
                self._codes[index] = made
        return self._codes[index]

    def _float_of(self, index: int) -> int:
        if index < 0 or index not in self._codes or self._graph.tensors[index].is_constant:
            return index
        if index not in self._float:
            source = self._graph.tensors[index]
            made = self._editor.add_successor(replace(source, name=f"{source.name}/float32"))
            self._editor.add("DEQUANTIZE", (self._codes[index],), (made,))
            self._float[index] = made
        return self._float[index]

    def _weighted(self, op: Op, inputs: list[int], axis: int) -> list[int]:
        config = self._config
        weights = self._graph.tensors[op.inputs[1]]
        if weights.data is None:
            raise UnsupportedError(
                f"int8: layer '{self._graph.tensors[op.outputs[0]].name}' computes its weights at run "
                "time; expected constants. Leave it in float with `keep_float`."
            )
        per_channel = config.per_channel_dense if op.kind == "FULLY_CONNECTED" else config.per_channel
        limit = 63 if config.reduce_range else 127
        data, quant = quantize_weights(weights.real(), axis, per_channel=per_channel, limit=limit)
        input_scale = float(self._params[op.inputs[0]].scale[0])
        has_bias = len(op.inputs) > 2 and op.inputs[2] >= 0
        bias = self._graph.tensors[op.inputs[2]].real() if has_bias else None
        if bias is not None:
            needed = np.abs(bias) / (input_scale * _BIAS_LIMIT)
            needed = needed if quant.is_per_channel else needed.max(keepdims=True)
            if np.any(needed > quant.scale):
                quant = replace(quant, scale=np.maximum(quant.scale, needed).astype(np.float32))
                data = np.clip(quant.quantize(weights.real(), np.int8), -limit, limit).astype(np.int8)
        inputs[1] = self._stored(
            op.inputs[1], replace(weights, data=data, dtype=np.dtype(np.int8), quant=quant)
        )
        if bias is not None:
            bias_dtype = np.dtype(np.int64 if self._dtype == np.int16 else np.int32)
            scale = (np.float32(input_scale) * quant.scale).astype(np.float32)
            params = QuantParams(scale=scale, zero_point=np.zeros(scale.shape, np.int64))
            inputs[2] = self._editor.add_successor(
                replace(
                    self._graph.tensors[op.inputs[2]],
                    data=params.quantize(bias, bias_dtype),
                    dtype=bias_dtype,
                    quant=params,
                )
            )
        return inputs

    def _stored(self, source: int, weights: Tensor) -> int:
        """Add weights, once for all operators that have the same: the steps of a recurrent layer."""
        for index in self._shared.get(source, ()):
            kept = self._editor.tensor(index)
            if kept.quant is None or weights.quant is None or kept.data is None or weights.data is None:
                continue
            if np.array_equal(kept.quant.scale, weights.quant.scale) and np.array_equal(
                kept.data, weights.data
            ):
                return index
        made = self._editor.add_successor(weights)
        self._shared.setdefault(source, []).append(made)
        return made

    def finish(self) -> Graph:
        """The integer graph; what nobody reads is still in it."""
        self._quantize_constants(tuple(self._editor.ops))
        self._editor.outputs = tuple(self._output_codes(i) for i in self._graph.outputs)
        return self._editor.snapshot()

    def _quantize_constants(self, ops: tuple[Op, ...]) -> None:
        """Quantize constant operands of ADD, MUL and the like, which are no weights."""
        for op in ops:
            if self._editor.tensor(op.outputs[0]).quant is None:
                continue
            for index in op.inputs:
                tensor = self._editor.tensor(index) if index >= 0 else None
                if tensor is None or tensor.data is None or tensor.dtype != np.float32:
                    continue
                shared = self._editor.tensor(op.outputs[0]).quant if operator(op.kind).same_scale else None
                lo, hi = float(tensor.data.min()), float(tensor.data.max())
                own = symmetric_params(lo, hi, self._dtype) if self._dtype == np.int16 else None
                quant = shared or own or self._params.get(index) or constant_params(tensor.data)
                data = quant.quantize(tensor.data, self._dtype)
                self._editor.set_tensor(index, replace(tensor, data=data, dtype=self._dtype, quant=quant))

    def _output_codes(self, index: int) -> int:
        if index in self._codes:
            return index
        made = self._codes_of(index)
        source = self._editor.tensor(index)
        self._editor.set_tensor(index, replace(source, name=f"{source.name}/float32"))
        self._editor.set_tensor(made, replace(self._editor.tensor(made), name=source.name))
        return made
