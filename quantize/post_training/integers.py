"""Post-training int8 and int16x8: calibrated ranges and float weights become one graph of integers.

Reference: Jacob et al., CVPR 2018; Krishnamoorthi, "Quantizing deep convolutional networks for
efficient inference", 2018 (per-channel weights); the TFLite 8-bit quantization specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams, asymmetric
from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family, operator
from mnist_export.core.kinds import Precision
from mnist_export.quantize.network.functions import Function, functions
from mnist_export.quantize.network.operators import same_scale_groups
from mnist_export.quantize.network.scheme import SchemeConfig
from mnist_export.quantize.post_training.kept_float import kept_float, refuse_unknown
from mnist_export.quantize.post_training.lookup import OFFSET, lookup_ops, table_of
from mnist_export.quantize.ranges.calibration import Range
from mnist_export.quantize.scales.scale_choice import constant_params
from mnist_export.quantize.scales.tie_free import tie_free

_BIAS_LIMIT = 2**30
"""Quantized biases stay below this, so that adding the products cannot overflow 32 bits."""


def activation_dtype(config: SchemeConfig) -> np.dtype[Any]:
    """The integer type of activations: int16 for int16x8, else int8."""
    return np.dtype(np.int16 if config.precision == Precision.INT16X8 else np.int8)


def quantize_graph(graph: Graph, ranges: Mapping[int, Range], config: SchemeConfig) -> Graph:
    """Quantize a float graph to int8 (or int16) activations, int8 weights, int32 (or int64) biases.

    Activations: one asymmetric scale a tensor over the calibrated range; the input's is the pixel
    rule's own, so that an int8 input is exactly ``pixel - 128``. int16 activations are symmetric,
    with scale ``max|x| / 32767``, as the 16x8 specification has it. Weights: symmetric, narrow range
    (-127..127), rounded half to even. Biases: scale ``input scale * weight scale``, zero point 0.

    Args:
        graph: a float graph, batch free.
        ranges: real range of each activation, by tensor index.
        config: the scheme's settings.

    Returns:
        A graph whose quantized tensors are int8 or int32; QUANTIZE and DEQUANTIZE stand where a
        float operator meets a quantized one.

    Raises:
        UnsupportedError: an operator that has no integer form; the message names its layer.
        InputError: ``keep_float`` names a layer that is not there.
    """
    is_float = kept_float(graph, config)
    refuse_unknown(graph, is_float, config.precision)
    tables = _tables(graph, is_float, config)
    params = activation_params(graph, ranges, config)
    builder = _Builder(graph, params, config)
    by_result = {made.ops[-1]: made for made in tables}
    inner = _inner(graph, tables)
    for op in graph.ops:
        if op in by_result:
            builder.add_lookup(by_result[op])
        elif op not in inner:
            builder.add(op, is_float=op in is_float)
    return with_unique_names(builder.finish().pruned())


def with_unique_names(graph: Graph) -> Graph:
    """Number names that several tensors have: a constant that is weights here and an operand there."""
    taken: set[str] = set()
    changes: dict[int, Tensor] = {}
    for index, tensor in enumerate(graph.tensors):
        name, count = tensor.name, 1
        while name in taken:
            count += 1
            name = f"{tensor.name}_{count}"
        taken.add(name)
        if name != tensor.name:
            changes[index] = replace(tensor, name=name)
    return graph.with_tensors(changes) if changes else graph


def _tables(graph: Graph, is_float: set[Op], config: SchemeConfig) -> tuple[Function, ...]:
    """The functions that become tables of codes: those of which nothing stays in float."""
    if config.precision != Precision.INT8:
        return ()
    return tuple(made for made in functions(graph) if not is_float.intersection(made.ops))


def _inner(graph: Graph, tables: tuple[Function, ...]) -> set[Op]:
    """Operators that only tables' functions read: they are in the tables."""
    inner: set[Op] = set()
    within = {op for made in tables for op in made.ops}
    results = {made.target for made in tables}
    for op in reversed(graph.ops):
        readers = graph.consumers(op.outputs[0]) if op in within else ()
        if not readers or op.outputs[0] in graph.outputs or op.outputs[0] in results:
            continue
        if all(reader in inner or (reader in within and reader.outputs[0] in results) for reader in readers):
            inner.add(op)
    return inner


def activation_params(
    graph: Graph, ranges: Mapping[int, Range], config: SchemeConfig
) -> dict[int, QuantParams]:
    """Scale and zero point of every activation, shared where an operator demands it, sums without ties.

    Args:
        graph: a float graph.
        ranges: real range of each activation.
        config: symmetric or not, and the input's range.
    """
    group = same_scale_groups(graph, np.float32)
    members: dict[int, list[int]] = {}
    for index, root in group.items():
        members.setdefault(root, []).append(index)
    params: dict[int, QuantParams] = {}
    for indices in members.values():
        fixed = _fixed_params(graph, indices, config)
        # A pool's or reshape's own range lies within its producer's: the first tensor decides,
        # and a concatenation's or maximum's several producers are covered together.
        heads = [i for i in indices if not _is_same_scale_output(graph, i)] or indices[:1]
        heads += [i for i in indices if i not in heads and _is_widened(graph, i)]
        seen = [ranges[_clipped(graph, i)] for i in heads]
        lo = min(r.lo for r in seen)
        hi = max(r.hi for r in seen)
        symmetric = config.symmetric or config.precision == Precision.INT16X8
        dtype = activation_dtype(config)
        chosen = fixed or (_symmetric(lo, hi, dtype) if symmetric else asymmetric(lo, hi, dtype))
        params |= dict.fromkeys(indices, chosen)
    return tie_free(graph, params, group) if config.precision == Precision.INT8 else params


def _clipped(graph: Graph, index: int) -> int:
    """The tensor whose range counts: behind a MAXIMUM or MINIMUM with a constant, nothing outside is read."""
    readers = graph.consumers(index)
    while len(readers) == 1 and family(readers[0].kind) == Family.EXTREME:
        if not any(graph.tensors[i].is_constant for i in readers[0].inputs):
            break
        index = readers[0].outputs[0]
        readers = graph.consumers(index)
    return index


def _symmetric(lo: float, hi: float, dtype: np.dtype[Any]) -> QuantParams:
    bound = max(abs(lo), abs(hi))
    return QuantParams.per_tensor(bound / np.iinfo(dtype).max if bound > 0 else 1.0)


def _is_widened(graph: Graph, index: int) -> bool:
    """Whether constants join what a tensor holds: those of a concatenation, a stack or a padding."""
    producer = graph.producer(index)
    if producer is None or producer.kind not in {"CONCATENATION", "PACK", "PADV2"}:
        return False
    return any(graph.tensors[i].is_constant and graph.tensors[i].dtype == np.float32 for i in producer.inputs)


def _is_same_scale_output(graph: Graph, index: int) -> bool:
    producer = graph.producer(index)
    return producer is not None and operator(producer.kind).same_scale


def _fixed_params(graph: Graph, indices: list[int], config: SchemeConfig) -> QuantParams | None:
    wide = config.precision == Precision.INT16X8
    for index in indices:
        if index in graph.inputs:
            span = config.input_range
            return _symmetric(span.lo, span.hi, np.dtype(np.int16)) if wide else span.params_int8()
        producer = graph.producer(index)
        output = operator(producer.kind).output if producer else None
        if output is not None:
            return QuantParams.per_tensor(1 / 32768) if wide else output
    return None


def quantize_weights(
    weights: npt.NDArray[np.float32], axis: int, *, per_channel: bool, limit: int = 127
) -> tuple[npt.NDArray[np.int8], QuantParams]:
    """Quantize weights symmetrically to ``-limit..limit``, ``scale = max|w| / limit``.

    A channel of zeros takes the tensor's scale, so that its bias keeps a sensible step.

    Args:
        weights: float32, any shape.
        axis: the output channels' axis.
        per_channel: one scale a channel, else one a tensor.
        limit: 127 (narrow range), or 63 for a reduced one.

    Returns:
        int8 weights of the same shape, and their parameters.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    bound = np.abs(weights).max(axis=others) if per_channel else np.abs(weights).max(keepdims=True).reshape(1)
    whole = float(bound.max())
    scale = np.where(bound > 0, bound, whole if whole > 0 else limit) / limit
    scale = np.maximum(scale, np.finfo(np.float32).tiny)
    quant = QuantParams(
        scale=scale.astype(np.float32),
        zero_point=np.zeros(scale.shape, np.int64),
        quantized_dimension=axis if per_channel else 0,
    )
    q = quant.quantize(weights, np.int8)
    return np.clip(q, -limit, limit).astype(np.int8), quant


class _Builder:
    """Builds the quantized graph operator by operator over a growing table of tensors."""

    def __init__(self, graph: Graph, params: Mapping[int, QuantParams], config: SchemeConfig) -> None:
        self._graph = graph
        self._params = params
        self._config = config
        self._dtype = activation_dtype(config)
        self._tensors = list(graph.tensors)
        self._names = {tensor.name for tensor in graph.tensors}
        self._appended: set[str] = set()
        self._ops: list[Op] = []
        # Float graph's tensor index to the index of its integer form, and to that of its float form.
        self._codes: dict[int, int] = {}
        self._float: dict[int, int] = {}
        # Float weights to the integer forms that operators read.
        self._shared: dict[int, list[int]] = {}
        for index in graph.inputs:
            self._tensors[index] = self._as_codes(index)
            self._codes[index] = index

    def _as_codes(self, index: int) -> Tensor:
        tensor = self._graph.tensors[index]
        return replace(tensor, dtype=self._dtype, quant=self._params[index])

    def _append(self, tensor: Tensor) -> int:
        """Add a tensor: the first with an old one's name takes its place, others are numbered."""
        name, count = tensor.name, 1
        while name in self._appended or (count > 1 and name in self._names):
            count += 1
            name = f"{tensor.name}_{count}"
        self._appended.add(name)
        self._tensors.append(replace(tensor, name=name))
        return len(self._tensors) - 1

    def add(self, op: Op, *, is_float: bool) -> None:
        if is_float or not all(self._graph.tensors[i].dtype == np.float32 for i in op.outputs):
            self._ops.append(replace(op, inputs=tuple(self._float_of(i) for i in op.inputs)))
            self._float |= {i: i for i in op.outputs}
            return
        inputs = [self._codes_of(i) for i in op.inputs]
        axis = operator(op.kind).weight_axis
        if axis is not None:
            inputs = self._weighted(op, inputs, axis)
        for index in op.outputs:
            self._tensors[index] = self._as_codes(index)
            self._codes[index] = index
        self._ops.append(replace(op, inputs=tuple(inputs)))

    def add_lookup(self, made: Function) -> None:
        """Add a function of single values as a table of its codes."""
        graph, target = self._graph, made.target
        codes = self._codes_of(made.source)
        name = graph.tensors[target].name
        before, after = self._tensors[codes].quant, self._params[target]
        if before is None:
            raise UnsupportedError(f"int8: layer '{name}' reads a value without codes.")
        table = table_of(graph, made, before, after)
        places = np.dtype(np.int32)
        shape = graph.tensors[target].shape
        signed, index = (
            self._append(Tensor(name=f"{name}/{role}", shape=shape, dtype=places))
            for role in ("signed", "place")
        )
        offset = self._append(
            Tensor(name=f"{name}/offset", shape=(), dtype=places, data=np.array(OFFSET, np.int32))
        )
        data = self._append(
            Tensor(name=f"{name}/table", shape=table.shape, dtype=table.dtype, data=table, quant=after)
        )
        self._tensors[target] = self._as_codes(target)
        self._codes[target] = target
        self._ops += lookup_ops(codes, (signed, index), offset, data, target)

    def _codes_of(self, index: int) -> int:
        if index < 0 or self._graph.tensors[index].dtype != np.float32:
            return index
        if index not in self._codes:
            if self._graph.tensors[index].is_constant:
                self._codes[index] = index  # weights and biases; other constants below
            else:
                made = self._append(
                    replace(self._as_codes(index), name=f"{self._graph.tensors[index].name}/codes")
                )
                self._ops.append(Op(kind="QUANTIZE", inputs=(index,), outputs=(made,)))
                self._codes[index] = made
        return self._codes[index]

    def _float_of(self, index: int) -> int:
        if index < 0 or index not in self._codes or self._graph.tensors[index].is_constant:
            return index
        if index not in self._float:
            source = self._graph.tensors[index]
            made = self._append(replace(source, name=f"{source.name}/float32"))
            self._ops.append(Op(kind="DEQUANTIZE", inputs=(self._codes[index],), outputs=(made,)))
            self._float[index] = made
        return self._float[index]

    def _weighted(self, op: Op, inputs: list[int], axis: int) -> list[int]:
        config = self._config
        weights = self._graph.tensors[op.inputs[1]]
        if weights.data is None:
            raise UnsupportedError(
                f"int8: layer '{self._graph.tensors[op.outputs[0]].name}' computes its weights at run "
                "time; expected constants. Leave it in float with --keep-float."
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
            inputs[2] = self._append(
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
            kept = self._tensors[index]
            if kept.quant is None or weights.quant is None or kept.data is None or weights.data is None:
                continue
            if np.array_equal(kept.quant.scale, weights.quant.scale) and np.array_equal(
                kept.data, weights.data
            ):
                return index
        made = self._append(weights)
        self._shared.setdefault(source, []).append(made)
        return made

    def finish(self) -> Graph:
        ops = tuple(self._ops)
        self._quantize_constants(ops)
        outputs = tuple(self._output_codes(i) for i in self._graph.outputs)
        return Graph(
            tensors=tuple(self._tensors), ops=tuple(self._ops), inputs=self._graph.inputs, outputs=outputs
        )

    def _quantize_constants(self, ops: tuple[Op, ...]) -> None:
        """Quantize constant operands of ADD, MUL and the like, which are no weights."""
        for op in ops:
            if self._tensors[op.outputs[0]].quant is None:
                continue
            for index in op.inputs:
                tensor = self._tensors[index] if index >= 0 else None
                if tensor is None or tensor.data is None or tensor.dtype != np.float32:
                    continue
                shared = self._tensors[op.outputs[0]].quant if operator(op.kind).same_scale else None
                lo, hi = float(tensor.data.min()), float(tensor.data.max())
                own = _symmetric(lo, hi, self._dtype) if self._dtype == np.int16 else None
                quant = shared or own or self._params.get(index) or constant_params(tensor.data)
                self._tensors[index] = replace(
                    tensor, data=quant.quantize(tensor.data, self._dtype), dtype=self._dtype, quant=quant
                )

    def _output_codes(self, index: int) -> int:
        if index in self._codes:
            return index
        made = self._codes_of(index)
        source = self._tensors[index]
        self._tensors[index] = replace(source, name=f"{source.name}/float32")
        self._tensors[made] = replace(self._tensors[made], name=source.name)
        return made
