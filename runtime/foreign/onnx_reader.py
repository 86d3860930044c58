"""An ONNX model as named, typed views, without the onnx package; each field is read when it is asked for.

Every length is checked by `protobuf.Message`; whether a file may be run is for `onnx_check` to say.
Reference: onnx/onnx.proto, release 1.20 (the numbers of the fields below).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final, Generic, Self, TypeVar, overload

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.runtime.foreign.protobuf import Message, parse

T = TypeVar("T")
V = TypeVar("V", bound="View")


class DataType(IntEnum):
    """``TensorProto.DataType``, what a classifier's file holds of it."""

    FLOAT = 1
    UINT8 = 2
    INT8 = 3
    UINT16 = 4
    INT16 = 5
    INT32 = 6
    INT64 = 7
    BOOL = 9
    FLOAT16 = 10
    DOUBLE = 11
    UINT32 = 12
    UINT64 = 13
    BFLOAT16 = 16


DTYPES: Final[Mapping[int, np.dtype[Any]]] = MappingProxyType(
    {
        DataType.FLOAT: np.dtype("<f4"),
        DataType.UINT8: np.dtype(np.uint8),
        DataType.INT8: np.dtype(np.int8),
        DataType.UINT16: np.dtype("<u2"),
        DataType.INT16: np.dtype("<i2"),
        DataType.INT32: np.dtype("<i4"),
        DataType.INT64: np.dtype("<i8"),
        DataType.BOOL: np.dtype(np.bool_),
        DataType.FLOAT16: np.dtype("<f2"),
        DataType.DOUBLE: np.dtype("<f8"),
        DataType.UINT32: np.dtype("<u4"),
        DataType.UINT64: np.dtype("<u8"),
    }
)
"""The types that numpy knows; the file is little-endian."""


class Field(Generic[T]):
    """A field of a message: read once, when first asked for.

    Attributes:
        number: the field's number in onnx.proto.
    """

    def __init__(self, number: int, read: Callable[[Message, int], T]) -> None:
        """A field and how its value is read from the message."""
        self.number = number
        self._read = read

    def __set_name__(self, owner: type[View], name: str) -> None:
        """Remember the name under which the value is kept."""
        self._name = name

    @overload
    def __get__(self, view: None, owner: type[View]) -> Self: ...
    @overload
    def __get__(self, view: View, owner: type[View]) -> T: ...
    def __get__(self, view: View | None, owner: type[View]) -> Self | T:
        """The value, or the field itself when asked of the class."""
        if view is None:
            return self
        value = self._read(view.message, self.number)
        view.__dict__[self._name] = value  # no data descriptor, so this is found first from now on
        return value


class View:
    """A message by its fields' names.

    Attributes:
        message: the message as read from the wire.
    """

    def __init__(self, message: Message) -> None:
        """A view of one message."""
        self.message = message

    @property
    def label(self) -> str:
        """The file's name for messages."""
        return self.message.label


def _string(number: int) -> Field[str]:
    return Field(number, Message.string)


def _strings(number: int) -> Field[list[str]]:
    return Field(number, Message.strings)


def _integer(number: int) -> Field[int]:
    return Field(number, Message.integer)


def _integers(number: int) -> Field[list[int]]:
    return Field(number, Message.integers)


def _present(number: int) -> Field[bool]:
    return Field(number, Message.has)


def _count(number: int) -> Field[int]:
    return Field(number, lambda message, field: len(message.blobs(field)))


def _views(number: int, kind: type[V]) -> Field[list[V]]:
    return Field(number, lambda message, field: [kind(found) for found in message.messages(field)])


class OpsetImport(View):
    """``OperatorSetIdProto``."""

    domain = _string(1)
    version = _integer(2)


class Entry(View):
    """``StringStringEntryProto``: one pair of the metadata."""

    key = _string(1)

    def value(self) -> bytes:
        """The last value, as it is stored."""
        return b"".join(map(bytes, self.message.blobs(2)[-1:]))


class ValueInfo(View):
    """``ValueInfoProto``: an input or output."""

    name = _string(1)


class Tensor(View):
    """``TensorProto``."""

    dims = _integers(1)
    data_type = _integer(2)
    int32_data = _integers(5)
    int64_data = _integers(7)
    name = _string(8)
    has_raw_data = _present(9)
    has_external_data = _present(13)
    data_location = _integer(14)

    @property
    def dtype(self) -> np.dtype[Any] | None:
        """The type of the elements, or None for types that numpy does not know."""
        return DTYPES.get(self.data_type)

    def raw_data(self) -> bytes | memoryview:
        """The elements' bytes; empty where they are stored in a typed field."""
        return _joined(self.message.blobs(9))

    def float_data(self) -> bytes | memoryview:
        """The bytes of the packed float32 field."""
        return _joined(self.message.blobs(4))

    def array(self) -> npt.NDArray[Any]:
        """The elements in their shape; an empty array for types that no integer network holds.

        Raises:
            InputError: the elements are not as many as the shape says.
        """
        dtype = self.dtype
        if dtype is None:
            return np.zeros(0)
        raw = self.raw_data()
        if not raw and self.data_type == DataType.FLOAT:
            raw = self.float_data()
        if raw:
            values = np.frombuffer(raw, dtype) if len(raw) % dtype.itemsize == 0 else np.zeros(0, dtype)
        elif self.data_type == DataType.INT64:
            values = np.array(self.int64_data, dtype)
        elif dtype.kind in "iub" and self.data_type != DataType.UINT32 and dtype.itemsize <= 4:
            values = np.array(self.int32_data, np.int64).astype(dtype)
        elif self.data_type == DataType.FLOAT:
            values = np.zeros(0, dtype)
        else:
            return np.zeros(0)
        if any(size < 0 for size in self.dims) or values.size != math.prod(self.dims):
            raise InputError(
                f"{self.label}: the constant '{self.name}' has the shape {tuple(self.dims)} and "
                f"{values.size} elements. The file is damaged."
            )
        return values.reshape(self.dims)


class Attribute(View):
    """``AttributeProto``."""

    name = _string(1)
    has_float = _present(2)
    has_integer = _present(3)
    integer = _integer(3)
    tensor = _views(5, Tensor)
    has_graph = _present(6)
    integers = _integers(8)
    tensors = _views(10, Tensor)
    has_graphs = _present(11)

    def real(self) -> float:
        """The float32 value."""
        bits = self.message.integer(2) & 0xFFFFFFFF
        return float(np.array(bits, np.uint32).view(np.float32))


class Node(View):
    """``NodeProto``: one operator."""

    inputs = _strings(1)
    outputs = _strings(2)
    operator = _string(4)
    attributes = _views(5, Attribute)
    domain = _string(7)

    @property
    def output(self) -> str:
        """The last output's name, or the empty string."""
        return (self.outputs or [""])[-1]

    def lists(self) -> dict[str, list[int]]:
        """Lists of integers by name."""
        return {attribute.name: attribute.integers for attribute in self.attributes if attribute.integers}

    def numbers(self) -> dict[str, float | int]:
        """Integer and float attributes by name; lists are left out."""
        found: dict[str, float | int] = {}
        for attribute in self.attributes:
            if attribute.has_float:
                found[attribute.name] = attribute.real()
            elif attribute.has_integer:
                found[attribute.name] = attribute.integer
        return found


class Graph(View):
    """``GraphProto``."""

    node_count = _count(1)
    nodes = _views(1, Node)
    initializers = _views(5, Tensor)
    inputs = _views(11, ValueInfo)
    outputs = _views(12, ValueInfo)
    has_sparse_initializers = _present(15)

    def constants(self) -> dict[str, Tensor]:
        """Constant tensors by name: initializers, and what Constant nodes hold."""
        found = {tensor.name: tensor for tensor in self.initializers}
        for node in self.nodes:
            if node.operator == "Constant":
                for attribute in node.attributes:
                    for tensor in attribute.tensor:
                        found[node.output] = tensor
        return found


class Model(View):
    """``ModelProto``."""

    graphs = _views(7, Graph)
    opsets = _views(8, OpsetImport)
    metadata = _views(14, Entry)
    has_training = _present(20)
    has_functions = _present(25)

    @property
    def graph(self) -> Graph:
        """The one graph.

        Raises:
            InputError: none, or several.
        """
        if len(self.graphs) != 1:
            raise InputError(
                f"{self.label}: expected an ONNX model with one graph, found {len(self.graphs)} graphs."
            )
        return self.graphs[0]


def read_model(content: bytes, *, label: str) -> Model:
    """Read the outermost message of a file.

    Args:
        content: the whole file.
        label: its name for messages.

    Raises:
        InputError: truncated, or not protobuf.
    """
    return Model(parse(content, label))


def _joined(blobs: list[memoryview]) -> bytes | memoryview:
    return blobs[0] if len(blobs) == 1 else b"".join(map(bytes, blobs))
