"""Cuts the operators of a .tflite out, each as a model of its own, with the values that it really gets."""

from __future__ import annotations

import copy
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.graph import schema
from mnist_export.core.graph.tflite_reader import parse_model
from mnist_export.core.graph.tflite_writer import aligned_buffer

_INDICES: Final = ("int32", "int64")
_ERRORS: Final = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True, kw_only=True, eq=False)
class CutOperator:
    """One operator as a model.

    Attributes:
        name: of its first output.
        kind: the builtin operator's name.
        content: the .tflite file that holds it alone.
        feeds: the values of the file's inputs, in order.
        hybrid: whether it computes on float values with 8-bit weights.
    """

    name: str
    kind: str
    content: bytes
    feeds: tuple[npt.NDArray[Any], ...]
    hybrid: bool

    @property
    def first(self) -> npt.NDArray[Any]:
        """The value that it computes on."""
        return self.feeds[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A parsed file, for cutting.

    Attributes:
        model: the schema's ``ModelT``.
        content: the file.
        label: what messages call it.
    """

    model: Any
    content: bytes
    label: str

    @classmethod
    def parse(cls, content: bytes, label: str) -> Network:
        """Read a file.

        Raises:
            InputError: it is damaged.
        """
        return cls(model=parse_model(content, label), content=content, label=label)

    @property
    def operators(self) -> list[Any]:
        """The schema's ``OperatorT``, in execution order."""
        return list(self.model.subgraphs[0].operators)

    @property
    def tensors(self) -> list[Any]:
        """The schema's ``TensorT``."""
        return list(self.model.subgraphs[0].tensors)

    def kind(self, operator: Any) -> str:
        """An operator's name."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        return schema.operator_names().get(number, f"operator number {number}")

    def constant(self, index: int) -> bytes:
        """A constant's bytes; empty for a tensor that is computed."""
        buffer = self.model.buffers[self.tensors[index].buffer]
        if buffer.offset > 1:  # behind the tables, where large models keep them
            return self.content[buffer.offset : buffer.offset + buffer.size]
        return b"" if buffer.data is None else bytes(bytearray(buffer.data))

    def _is_stored(self, tensor: Any) -> bool:
        buffer = self.model.buffers[tensor.buffer]
        return buffer.offset > 1 or (buffer.data is not None and len(buffer.data) > 0)

    def fixed(self) -> set[int]:
        """Tensors that no image changes: constants, and what is computed from constants alone."""
        known = {index for index, tensor in enumerate(self.tensors) if self._is_stored(tensor)}
        for operator in self.operators:
            if all(index in known for index in used(operator)):
                known.update(outputs(operator))
        return known


def used(operator: Any) -> list[int]:
    """An operator's input tensors, without those that are left out."""
    return [int(index) for index in _listed(operator.inputs) if index >= 0]


def outputs(operator: Any) -> list[int]:
    """An operator's output tensors."""
    return [int(index) for index in _listed(operator.outputs) if index >= 0]


def _listed(values: Any) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def cut_operators(network: Network, values: Mapping[int, npt.NDArray[Any]]) -> list[CutOperator]:
    """Cut out every operator that computes on images.

    Operators on constants alone are left out: runtimes compute them once, when they load the file. What they
    give becomes a constant of the operators that read it, and so do shapes and indices that were computed.

    Args:
        network: the file.
        values: by tensor index, what each computed tensor holds in one run; also of the shapes to use.

    Raises:
        InputError: tables that do not hold together.
    """
    fixed = network.fixed()
    found = []
    for place, operator in enumerate(network.operators):
        if all(index in fixed for index in used(operator)):
            continue
        try:
            found.append(_cut(network, operator, values, fixed))
        except (*_ERRORS, KeyError) as error:
            raise InputError(
                f"{network.label}: operator {place} ({network.kind(operator)}) cannot be cut out "
                f"({type(error).__name__}: {error}). The file is damaged; get it again."
            ) from error
    return found


def _cut(
    network: Network, operator: Any, values: Mapping[int, npt.NDArray[Any]], fixed: set[int]
) -> CutOperator:
    import flatbuffers

    tables, old = schema.module(), network.tensors
    model, graph, alone = tables.ModelT(), tables.SubGraphT(), copy.copy(operator)
    model.version = schema.SCHEMA_VERSION
    model.description = b"one operator"
    model.operatorCodes = [network.model.operatorCodes[operator.opcodeIndex]]
    model.buffers, model.subgraphs = [aligned_buffer(b"")], [graph]
    intermediates = _listed(operator.intermediates)
    chosen = list(dict.fromkeys([*used(operator), *outputs(operator), *(i for i in intermediates if i >= 0)]))
    place = {index: number for number, index in enumerate(chosen)} | {-1: -1}
    first = next(index for index in used(operator) if index not in fixed)
    feeds: dict[int, npt.NDArray[Any]] = {}
    graph.name, graph.tensors = b"main", []
    for index in chosen:
        tensor = copy.copy(old[index])
        tensor.buffer, tensor.shapeSignature = 0, None
        stored = network.constant(index)
        value = values.get(index)
        if value is not None and not stored:
            tensor.shape = list(value.shape)
        if index in used(operator):
            if not stored and (index in fixed or (index != first and _is_index(values[index]))):
                stored = np.ascontiguousarray(values[index]).tobytes()
            if not stored and not tensor.isVariable:
                feeds[index] = values[index]
        if stored:
            tensor.buffer = len(model.buffers)
            model.buffers.append(aligned_buffer(stored))
        graph.tensors.append(tensor)
    alone.opcodeIndex = 0
    alone.inputs = [place[index] for index in _listed(operator.inputs)]
    alone.outputs = [place[index] for index in outputs(operator)]
    alone.intermediates = [place[index] for index in intermediates] or None
    graph.inputs, graph.outputs = [place[index] for index in feeds], list(alone.outputs)
    graph.operators = [alone]
    builder = flatbuffers.Builder(1 << 12)
    builder.Finish(model.Pack(builder), file_identifier=schema.IDENTIFIER)
    name = old[outputs(operator)[0]].name or b""
    return CutOperator(
        name=name.decode("utf-8", "replace").split(";", maxsplit=1)[0],
        kind=network.kind(operator),
        content=bytes(builder.Output()),
        feeds=tuple(feeds.values()),
        hybrid=_hybrid(network, operator, values[first]),
    )


def _is_index(value: npt.NDArray[Any]) -> bool:
    return value.dtype.name in _INDICES


def _hybrid(network: Network, operator: Any, first: npt.NDArray[Any]) -> bool:
    eight_bits = {schema.module().TensorType.INT8, schema.module().TensorType.UINT8}
    weights = (network.tensors[index].type for index in used(operator) if network.constant(index))
    return first.dtype.kind == "f" and any(kind in eight_bits for kind in weights)
