"""A reader of the protobuf wire format that checks every length; no schema, no recursion.

Reference: protobuf.dev, "Encoding" (tag = field number << 3 | wire type).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mnist_export.core.errors import InputError

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class Message:
    """One message: its fields by number, in file order.

    Attributes:
        label: the file's name for messages.
    """

    def __init__(self, data: memoryview, label: str) -> None:
        """Read all fields of one level.

        Raises:
            InputError: truncated, or not protobuf.
        """
        self.label = label
        self._fields: dict[int, list[int | memoryview]] = {}
        for number, value in _fields(data, label):
            self._fields.setdefault(number, []).append(value)

    def messages(self, number: int) -> list[Message]:
        """Every occurrence of a message field."""
        return [Message(value, self.label) for value in self.blobs(number)]

    def blobs(self, number: int) -> list[memoryview]:
        """Every occurrence of a length-delimited field."""
        values = self._fields.get(number, [])
        if any(isinstance(value, int) for value in values):
            raise _damaged(self.label, f"field {number} is a number where bytes are expected")
        return [value for value in values if isinstance(value, memoryview)]

    def strings(self, number: int) -> list[str]:
        """Every occurrence of a string field; what is not UTF-8 is replaced."""
        return [bytes(value).decode("utf-8", "replace") for value in self.blobs(number)]

    def string(self, number: int) -> str:
        """The last occurrence of a string field, or the empty string."""
        return (self.strings(number) or [""])[-1]

    def integer(self, number: int, default: int = 0) -> int:
        """The last occurrence of a signed integer field."""
        values = [value for value in self._fields.get(number, []) if isinstance(value, int)]
        return _signed(values[-1]) if values else default

    def integers(self, number: int) -> list[int]:
        """A repeated integer field, packed or not."""
        found: list[int] = []
        for value in self._fields.get(number, []):
            if isinstance(value, int):
                found.append(_signed(value))
                continue
            position = 0
            while position < len(value):
                item, position = _varint(value, position, self.label)
                found.append(_signed(item))
        return found

    def has(self, number: int) -> bool:
        """Whether the field occurs."""
        return number in self._fields


def parse(data: bytes, label: str) -> Message:
    """Read the outermost message of a file."""
    return Message(memoryview(data), label)


def _damaged(label: str, what: str) -> InputError:
    return InputError(f"{label}: {what}. The file is damaged, truncated or not ONNX; get it again.")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _varint(data: memoryview, position: int, label: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise _damaged(label, "a number is cut off")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & ((1 << 64) - 1), position
    raise _damaged(label, "a number has more than ten bytes")


def _fields(data: memoryview, label: str) -> Iterator[tuple[int, int | memoryview]]:
    position = 0
    while position < len(data):
        tag, position = _varint(data, position, label)
        number, kind = tag >> 3, tag & 7
        if not number:
            raise _damaged(label, "a field has the number 0")
        if kind == _VARINT:
            value, position = _varint(data, position, label)
            yield number, value
            continue
        if kind == _LENGTH:
            size, position = _varint(data, position, label)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise _damaged(label, f"a field has the wire type {kind}")
        end = position + size
        if end > len(data):
            raise _damaged(label, f"a field claims {size} bytes, {len(data) - position} are left")
        block = data[position:end]
        yield number, block if kind == _LENGTH else int(struct.unpack("<I" if size == 4 else "<Q", block)[0])
        position = end
