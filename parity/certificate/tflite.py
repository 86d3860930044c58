"""Describes a .tflite file's layers for the certificate."""

from __future__ import annotations

from typing import Final

import numpy as np

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family, operator
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.parity.certificate.between import Between, codes_of
from mnist_export.parity.certificate.layer import CertifiedLayer
from mnist_export.parity.certificate.rules import (
    Codes,
    Linear,
    broken,
    certify_linear,
    certify_moved,
    certify_sum,
)
from mnist_export.runtime.foreign.tflite_check import check_tflite

_CEILING: Final = {Activation.RELU6: 6.0, Activation.RELU_N1_TO_1: 1.0}


def tflite_layers(content: bytes, *, label: str, linear: list[Linear] | None = None) -> list[CertifiedLayer]:
    """Certify every operator of a file.

    Args:
        content: the whole file.
        label: its name for messages.
        linear: where given, layers with weights are added to it as they are read, in the file's order.

    Raises:
        InputError: damaged, or not a TFLite model.
        UnsupportedError: custom operators or control flow.
    """
    check_tflite(content, label=label)
    graph = read_tflite(content, where=label)
    between = Between(graph)
    found = linear if linear is not None else []
    return [between.layer(op) or _layer(graph, op, found) for op in graph.ops]


def _layer(graph: Graph, op: Op, linear: list[Linear]) -> CertifiedLayer:
    name = graph.tensors[op.outputs[0]].name if op.outputs else op.kind
    if family(op.kind) == Family.BOUNDARY:
        return _boundary(graph, op, name)
    carried = [i for i in op.inputs if i >= 0 and not graph.tensors[i].is_constant]
    source = [codes_of(graph.tensors[i]) for i in carried]
    target = codes_of(graph.tensors[op.outputs[0]])
    known = [codes for codes in source if codes is not None]
    if target is None or len(known) != len(source) or not known:
        dtype = graph.tensors[op.outputs[0]].dtype
        return broken(name, op.kind, f"computes in {dtype}, expected 8-bit integers with one scale a tensor")
    kind = Activation(op.options.get("fusedActivationFunction", 0) or 0)
    if operator(op.kind).has_weights:
        layer = _linear(graph, op, name, source=known[0], target=target, ceiling=_CEILING.get(kind))
        linear += [layer] if isinstance(layer, Linear) else []
        return certify_linear(layer) if isinstance(layer, Linear) else layer
    if op.kind in {"ADD", "SUB"} and len(known) == 2:
        return certify_sum(name, op.kind, known, target, _CEILING.get(kind))
    if _copies(op, len(known)) and kind == Activation.NONE:
        return certify_moved(name, op.kind, known, target)
    return broken(name, op.kind, f"is the operator {op.kind}, on which kernels round differently")


def _copies(op: Op, known: int) -> bool:
    """Whether each code of the one result is a code of an activation, and no constant's."""
    if not operator(op.kind).copies or len(op.outputs) != 1:
        return False
    return known == len(op.inputs) or (op.kind != "CONCATENATION" and family(op.kind) != Family.EXTREME)


def _boundary(graph: Graph, op: Op, name: str) -> CertifiedLayer:
    """QUANTIZE at the file's input, DEQUANTIZE at its output, or a change between int8 and uint8."""
    source, target = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    first, last = codes_of(source), codes_of(target)
    if first is not None and last is not None:
        return certify_moved(name, op.kind, [first], last)
    enters = op.inputs[0] in graph.inputs and last is not None and source.dtype == np.float32
    leaves = op.outputs[0] in graph.outputs and first is not None and target.dtype == np.float32
    if enters or leaves:
        # Pixels become whole multiples of the scale: nothing is rounded on the way in.
        codes = last or first
        return certify_sum(name, op.kind, [], codes, None) if codes is not None else broken(name, op.kind, "")
    return broken(name, op.kind, "leaves the integers in the middle of the network")


def _linear(
    graph: Graph, op: Op, name: str, *, source: Codes, target: Codes, ceiling: float | None
) -> Linear | CertifiedLayer:
    """Describe a layer with weights, or say what breaks its exactness before any rule is tried."""
    weights = graph.tensors[op.inputs[1]]
    if weights.data is None or weights.quant is None or weights.dtype != np.int8:
        return broken(name, op.kind, f"has weights of type {weights.dtype}, expected constant int8")
    axis = operator(op.kind).weight_axis or 0
    rows = np.moveaxis(weights.data, axis, 0).reshape(weights.shape[axis], -1)
    if weights.quant.is_per_channel and weights.quant.scale.size != len(rows):
        return broken(name, op.kind, f"has {weights.quant.scale.size} weight scales for {len(rows)} channels")
    bias = graph.tensors[op.inputs[2]] if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
    if bias is not None and (bias.data is None or bias.dtype != np.int32 or bias.data.size != len(rows)):
        return broken(name, op.kind, "has a bias that is not a constant int32 a channel")
    return Linear(
        name=name,
        operator=op.kind,
        source=source,
        target=target,
        weights=rows.astype(np.int64),
        weight_zero_point=int(np.abs(weights.quant.zero_point).max()),
        weight_scales=np.broadcast_to(weights.quant.scale, (len(rows),)),
        bias=bias.data.ravel().astype(np.int64) if bias is not None and bias.data is not None else None,
        bias_scales=bias.quant.scale if bias is not None and bias.quant is not None else None,
        ceiling=ceiling,
    )
