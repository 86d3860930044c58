"""Describes an .onnx file's layers for the certificate, without the onnx package.

Read are QDQ graphs: DequantizeLinear before and QuantizeLinear behind every operator.
Reference: the operators' specifications in onnx/docs/Operators.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph.onnx_operators import onnx_kinds, onnx_operator
from mnist_export.core.graph.operator import Family
from mnist_export.parity.certificate.layer import CertifiedLayer
from mnist_export.parity.certificate.rules import (
    EIGHT_BITS,
    Codes,
    Linear,
    broken,
    certify_linear,
    certify_lookup,
    certify_moved,
    certify_real,
    certify_rounded,
    certify_sum,
    whole_numbers,
)
from mnist_export.quantize.exact import reals
from mnist_export.quantize.exact.between import pool_counts
from mnist_export.quantize.exact.reals import Reals
from mnist_export.runtime.foreign.onnx_check import check_onnx
from mnist_export.runtime.foreign.onnx_reader import Graph, Node, read_model


@dataclass(frozen=True, kw_only=True, eq=False)
class _Dequantized:
    """A real value, and the integers that it was dequantized from."""

    source: str
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    dtype: np.dtype[Any]
    axis: int

    def codes(self) -> Codes | None:
        if self.scales.size != 1:
            return None
        return Codes(scale=float(self.scales[0]), zero_point=int(self.zero_points[0]), dtype=self.dtype)


def _pooled(node: Node, operands: list[Reals]) -> Reals | None:
    """What an AveragePool can give: means of as many pixels as a window can hold."""
    kernel = node.lists().get("kernel_shape", [])
    counted = bool(node.numbers().get("count_include_pad", 0))
    if len(kernel) != 2:
        return None
    return reals.averaged(operands[0], pool_counts((kernel[0], kernel[1]), padded=not counted))


def _bounded(node: Node, operands: list[Reals]) -> Reals | None:
    """What a Relu, or a Clip from 0, leaves."""
    if node.operator == "Relu":
        return reals.clipped(operands[0], 0.0, None)
    ends = [value for operand in operands[1:] for value in (lattice.offset for lattice in operand.lattices)]
    return reals.clipped(operands[0], 0.0, float(ends[1])) if len(ends) == 2 and ends[0] == 0 else None


_BETWEEN: Final[Mapping[str, Callable[[Node, list[Reals]], Reals | None]]] = MappingProxyType(
    {
        "Mul": lambda node, operands: reals.product(*operands),
        "Add": lambda node, operands: reals.total(*operands),
        "Sub": lambda node, operands: reals.total(*operands, sign=-1),
        "AveragePool": _pooled,
        "Relu": _bounded,
        "Clip": _bounded,
    }
)
_OF_CODES: Final = onnx_kinds(Family.CLIP, Family.MOVE, Family.REDUCTION, Family.EXTREME) - {"Transpose"}
"""Nodes that move integers or choose between them; they round nothing."""
_NUMBERS: Final[Mapping[int, np.dtype[Any]]] = {6: np.dtype(np.int32), 7: np.dtype(np.int64)}
"""ONNX's numbers of types that places in a table may have."""


def onnx_layers(content: bytes, *, label: str, linear: list[Linear] | None = None) -> list[CertifiedLayer]:
    """Certify every operator of a file.

    Args:
        content: the whole file.
        label: its name for messages.
        linear: where given, layers with weights are added to it as they are read, in the file's order.

    Raises:
        InputError: damaged, or not an ONNX model.
        UnsupportedError: external data, functions, operators that are not known.
    """
    check_onnx(content, label=label)
    return _Reader(read_model(content, label=label).graph, linear).layers()


class _Reader:
    """Walks a graph's nodes, keeping what each real value was dequantized from."""

    def __init__(self, graph: Graph, linear: list[Linear] | None = None) -> None:
        self._seen = linear if linear is not None else []
        self._nodes = graph.nodes
        self._constants = {name: tensor.array() for name, tensor in graph.constants().items()}
        self._readers: dict[str, list[Node]] = {}
        for node in self._nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)
        self._inputs = {v.name for v in graph.inputs} - set(self._constants)
        self._outputs = {v.name for v in graph.outputs}
        self._real: dict[str, _Dequantized] = {}
        self._values: dict[str, Reals] = {}
        self._places: dict[str, tuple[int, int]] = {}
        self._codes: dict[str, np.dtype[Any]] = {}
        self._done: set[int] = set()

    def layers(self) -> list[CertifiedLayer]:
        found: list[CertifiedLayer] = []
        for position, node in enumerate(self._nodes):
            kind = node.operator
            if position in self._done or kind == "Constant":
                continue
            if kind == "DequantizeLinear":
                dequantized = self._dequantized(node)
                if dequantized is not None:
                    self._real[node.output] = dequantized
                    continue
                found.append(broken(_name(node), kind, "has scales that are computed at run time"))
            elif kind == "QuantizeLinear":
                layer = self._quantize(node)
                found.extend([layer] if layer is not None else [])
            elif (between := self._between(node)) is not None:
                found.append(between)
            elif onnx_operator(kind).copies and not set(node.inputs[:1]) & set(self._real):
                self._pass_on(node)
                # A Reshape or Transpose of the codes themselves computes nothing.
                if node.inputs[0] in self._floats() - set(self._codes) - set(self._places):
                    found.append(broken(_name(node), kind, "computes in float32, expected 8-bit integers"))
            else:
                found.append(self._layer(node))
        return found

    def _between(self, node: Node) -> CertifiedLayer | None:
        """A table's place and entry, or float32 between codes; None for other nodes."""
        kind, name, source = node.operator, _name(node), node.inputs[0]
        if kind == "Cast" and source in self._codes and self._dtype(node) == np.int32:
            info = np.iinfo(self._codes[source])
            self._places[node.output] = (int(info.min), int(info.max))
            return whole_numbers(name, kind)
        if kind == "Add" and set(node.inputs) & set(self._places):
            return self._offset(node)
        if kind == "Gather" and source in self._constants and not set(node.inputs) & set(self._real):
            table = self._constants[source]
            self._codes[node.output] = table.dtype
            return certify_lookup(name, kind, table, self._places.get(node.inputs[1]))
        if source in self._codes and kind in _OF_CODES:
            self._codes[node.output] = self._codes[source]
            known = all(n in self._codes or n in self._constants for n in node.inputs if n)
            return whole_numbers(name, kind) if known else broken(name, kind, "mixes codes with other values")
        if kind in _BETWEEN and self._is_real(node):
            return self._compute(node)
        return None

    def _pass_on(self, node: Node) -> None:
        """A Reshape or Transpose of codes, of places or of values followed: what is known of them stays."""
        known: tuple[dict[str, Any], ...] = (self._codes, self._places, self._values)
        for table in known:
            if node.inputs[0] in table:
                table[node.output] = table[node.inputs[0]]

    def _dtype(self, node: Node) -> np.dtype[Any] | None:
        return _NUMBERS.get(int(node.numbers().get("to", 0)))

    def _offset(self, node: Node) -> CertifiedLayer:
        places = [self._places[n] for n in node.inputs if n in self._places]
        amounts = [self._constants[n] for n in node.inputs if n in self._constants]
        if len(places) != 1 or len(amounts) != 1 or amounts[0].size != 1:
            return broken(_name(node), "Add", "adds integers of 32 bits that are no code and a constant")
        lo, hi = (end + int(amounts[0].ravel()[0]) for end in places[0])
        self._places[node.output] = (lo, hi)
        return whole_numbers(_name(node), "Add")

    def _is_real(self, node: Node) -> bool:
        """Whether a node computes in float32 between codes, not fused with the codes around it."""
        if any(n in self._values for n in node.inputs):
            return True
        if node.operator in {"Add", "Sub", "Relu", "Clip"} and self._is_written(node):
            return not all(n in self._real for n in node.inputs[:2] if n not in self._constants)
        return any(n in self._real for n in node.inputs)

    def _is_written(self, node: Node) -> bool:
        """Whether a node's result is quantized at once, but for bounds."""
        for _ in range(3):
            readers = self._readers.get(node.output, [])
            if len(readers) != 1 or readers[0].operator not in {"Relu", "Clip"}:
                return len(readers) == 1 and readers[0].operator == "QuantizeLinear"
            node = readers[0]
        return False

    def _compute(self, node: Node) -> CertifiedLayer:
        operands = [self._operand(n) for n in node.inputs if n]
        values: Reals | None = None
        if all(operand is not None for operand in operands):
            values = _BETWEEN[node.operator](node, [o for o in operands if o is not None])
        if node.output in self._outputs:
            return broken(_name(node), node.operator, "leaves a result that is not quantized again")
        if values is not None:
            self._values[node.output] = values
        return certify_real(_name(node), node.operator, values)

    def _operand(self, name: str) -> Reals | None:
        if name in self._constants:
            data = self._constants[name]
            return reals.constants(data) if data.dtype == np.float32 else None
        codes = self._real[name].codes() if name in self._real else None
        if codes is None or codes.dtype not in EIGHT_BITS:
            return self._values.get(name)
        return reals.dequantized(codes.scale, codes.zero_point, *codes.range())

    def _floats(self) -> set[str]:
        return {
            n.output
            for n in self._nodes
            if n.operator != "QuantizeLinear" and not onnx_operator(n.operator).copies
        }

    def _dequantized(self, node: Node) -> _Dequantized | None:
        names = node.inputs
        if len(names) < 2 or names[1] not in self._constants:
            return None
        scales = self._constants[names[1]].ravel().astype(np.float32)
        point = self._constants.get(names[2]) if len(names) > 2 and names[2] else None
        stored = self._constants.get(names[0])
        kind = (
            point.dtype if point is not None else stored.dtype if stored is not None else np.dtype(np.uint8)
        )
        points = point.ravel().astype(np.int64) if point is not None else np.zeros(scales.size, np.int64)
        if not scales.size or points.size != scales.size:
            return None
        axis = node.numbers().get("axis", 1)
        return _Dequantized(source=names[0], scales=scales, zero_points=points, dtype=kind, axis=int(axis))

    def _quantize(self, node: Node) -> CertifiedLayer | None:
        """A QuantizeLinear of its own: at the input, or between int8 and uint8."""
        target, source = self._dequantized(node), node.inputs[0]
        codes = target.codes() if target is not None else None
        if codes is None:
            return broken(_name(node), "QuantizeLinear", "has scales that are computed or one a channel")
        self._codes[node.output] = codes.dtype
        if source in self._values:
            return certify_rounded(_name(node), "QuantizeLinear", self._values[source], codes)
        if source in self._real:
            before = self._real[source].codes()
            return certify_moved(_name(node), "QuantizeLinear", [before] if before else [], codes)
        if self._comes_from_input(source):
            return certify_sum(_name(node), "QuantizeLinear", [], codes, None)
        return None

    def _comes_from_input(self, name: str) -> bool:
        for _ in range(len(self._nodes)):
            if name in self._inputs:
                return True
            writer = next((n for n in self._nodes if name in n.outputs), None)
            if writer is None or not onnx_operator(writer.operator).copies:
                return False
            name = writer.inputs[0]
        return False

    def _layer(self, node: Node) -> CertifiedLayer:
        kind, name = node.operator, _name(node)
        carried = [n for n in node.inputs if n and n not in self._constants]
        values = [self._real.get(n) for n in carried]
        known = [value for value in values if value is not None]
        compared = onnx_operator(kind).family == Family.EXTREME and len(carried) < len(node.inputs)
        if len(known) != len(values) or not known or compared:
            return broken(name, kind, "computes on values that are not 8-bit integers dequantized")
        target, ceiling = self._written(node)
        if target is None and onnx_operator(kind).copies and len(known) == 1:
            # Real values that are only moved stay what they were dequantized from.
            self._real[node.output] = known[0]
            return CertifiedLayer(name=name, operator=kind)
        if target is None:
            return broken(name, kind, "leaves a result that is not quantized again")
        if onnx_operator(kind).family in {Family.CONVOLUTION, Family.DENSE}:
            return self._linear(node, name, target, ceiling)
        activations = [v.codes() for v in known if v.source not in self._constants]
        codes = [c for c in activations if c is not None]
        return _unweighted(name, kind, codes, target, ceiling=ceiling, whole=len(codes) == len(known))

    def _written(self, node: Node) -> tuple[Codes | None, float | None]:
        """Codes of what a node's result is quantized to, and where a Clip on the way clamps."""
        name, ceiling = node.output, None
        for _ in range(3):
            readers = self._readers.get(name, [])
            if len(readers) != 1 or name in self._outputs:
                return None, None
            reader = readers[0]
            kind = reader.operator
            self._done.add(self._nodes.index(reader))
            if kind == "QuantizeLinear":
                found = self._dequantized(reader)
                if found is not None:
                    self._codes[reader.output] = found.dtype
                return (found.codes() if found is not None else None), ceiling
            if kind == "Clip":
                bounds = [self._constants.get(n) for n in reader.inputs[1:3]]
                if len(bounds) != 2 or bounds[0] is None or bounds[1] is None or float(bounds[0]) != 0:
                    return None, None
                ceiling = float(bounds[1])
            elif kind != "Relu":
                return None, None
            name = reader.output
        return None, None

    def _linear(self, node: Node, name: str, target: Codes, ceiling: float | None) -> CertifiedLayer:
        kind, inputs = node.operator, node.inputs
        attributes = node.numbers()
        source, weights = self._real[inputs[0]].codes(), self._real.get(inputs[1])
        stored = self._constants.get(weights.source) if weights is not None else None
        if source is None or weights is None or stored is None or stored.dtype != np.int8:
            return broken(name, kind, "has weights that are not constant int8")
        if kind == "Gemm" and (attributes.get("transA", 0) or not _is_plain(attributes)):
            return broken(name, kind, "scales or transposes its operands")
        axis = 0 if kind == "Conv" or (kind == "Gemm" and attributes.get("transB", 0)) else stored.ndim - 1
        rows = np.moveaxis(stored, axis, 0).reshape(stored.shape[axis], -1)
        if weights.scales.size not in {1, len(rows)} or (weights.scales.size > 1 and weights.axis != axis):
            return broken(name, kind, f"has {weights.scales.size} weight scales for {len(rows)} channels")
        bias = self._real.get(inputs[2]) if len(inputs) > 2 else None
        values = self._constants.get(bias.source) if bias is not None else None
        if values is not None and (values.dtype != np.int32 or values.size != len(rows)):
            return broken(name, kind, "has a bias that is not int32, one a channel")
        layer = Linear(
            name=name,
            operator=kind,
            source=source,
            target=target,
            weights=rows.astype(np.int64),
            weight_zero_point=int(np.abs(weights.zero_points).max()),
            weight_scales=np.broadcast_to(weights.scales, (len(rows),)),
            bias=values.ravel().astype(np.int64) if values is not None else None,
            bias_scales=bias.scales if bias is not None else None,
            ceiling=ceiling,
        )
        self._seen.append(layer)
        return certify_linear(layer)


def _unweighted(
    name: str, kind: str, codes: list[Codes], target: Codes, *, ceiling: float | None, whole: bool
) -> CertifiedLayer:
    if not whole:
        return broken(name, kind, "takes a constant or scales of several channels")
    if kind in {"Add", "Sub"} and len(codes) == 2:
        return certify_sum(name, kind, codes, target, ceiling)
    if onnx_operator(kind).copies and ceiling is None:
        return certify_moved(name, kind, codes, target)
    return broken(name, kind, f"is the operator {kind}, on which kernels round differently")


def _is_plain(attributes: dict[str, float | int]) -> bool:
    return attributes.get("alpha", 1.0) == 1.0 and attributes.get("beta", 1.0) == 1.0


def _name(node: Node) -> str:
    return node.output.removesuffix("/out")
