"""Post-training int8 and int16x8: calibrated ranges and float weights become one graph of integers.

Reference: Jacob et al., CVPR 2018; Krishnamoorthi, "Quantizing deep convolutional networks for
efficient inference", 2018 (per-channel weights); the TFLite 8-bit quantization specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mnist_export.core.affine import QuantParams, asymmetric
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family, operator
from mnist_export.core.kinds import Precision
from mnist_export.quantize.network.functions import Function, functions
from mnist_export.quantize.network.operators import same_scale_groups
from mnist_export.quantize.network.scheme import SchemeConfig
from mnist_export.quantize.post_training.builder import IntegerBuilder, activation_dtype, symmetric_params
from mnist_export.quantize.post_training.in_float import operators_in_float, refuse_unknown
from mnist_export.quantize.ranges.calibration import Range
from mnist_export.quantize.scales.without_ties import params_without_ties


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
    is_float = operators_in_float(graph, config)
    refuse_unknown(graph, is_float, config.precision)
    tables = _tables(graph, is_float, config)
    params = activation_params(graph, ranges, config)
    builder = IntegerBuilder(graph, params, config)
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
        chosen = fixed or (symmetric_params(lo, hi, dtype) if symmetric else asymmetric(lo, hi, dtype))
        params |= dict.fromkeys(indices, chosen)
    return params_without_ties(graph, params, group) if config.precision == Precision.INT8 else params


def _clipped(graph: Graph, index: int) -> int:
    """The tensor whose range counts: behind a MAXIMUM or MINIMUM with a constant, nothing outside is read."""
    readers = graph.consumers(index)
    while len(readers) == 1 and family(readers[0].kind) == Family.EXTREME:
        if not any(graph.tensors[i].is_constant for i in readers[0].inputs):
            break
        index = readers[0].outputs[0]
        readers = graph.consumers(index)
    return index


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
            return symmetric_params(span.lo, span.hi, np.dtype(np.int16)) if wide else span.params_int8()
        producer = graph.producer(index)
        output = operator(producer.kind).output if producer else None
        if output is not None:
            return QuantParams.per_tensor(1 / 32768) if wide else output
    return None
