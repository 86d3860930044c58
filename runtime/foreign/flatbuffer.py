"""A reader of FlatBuffers that checks every offset against the buffer before it follows it.

Reference: the FlatBuffers internals, "Tables", "Vectors" (a table starts with a signed offset back to its
vtable; a vtable holds its own size, the table's size, and one 16-bit offset a field).
"""

from __future__ import annotations

import struct

from mnist_export.core.errors import InputError


class DamagedError(InputError):
    """An offset or a length points outside of the buffer."""


class Reader:
    """Bounded access to one FlatBuffers buffer."""

    def __init__(self, data: bytes, label: str) -> None:
        """Keep the bytes.

        Args:
            data: the whole file.
            label: its name for messages.
        """
        self.data = data
        self.label = label

    def unpack(self, code: str, position: int) -> int | float:
        """Read one little-endian number (struct code) at a position."""
        size = struct.calcsize("<" + code)
        if position < 0 or position + size > len(self.data):
            raise DamagedError(
                f"{self.label}: expected data at byte {position}, found a file of {len(self.data)} bytes. "
                "The file is damaged or truncated; get it again."
            )
        value: int | float = struct.unpack_from("<" + code, self.data, position)[0]
        return value

    def integer(self, code: str, position: int) -> int:
        """Read one integer."""
        return int(self.unpack(code, position))

    def root(self) -> Table:
        """The root table."""
        return Table(self, self.integer("I", 0))


class Table:
    """One table of the buffer; absent fields give their default."""

    def __init__(self, reader: Reader, position: int) -> None:
        """Read and check the vtable."""
        self._reader = reader
        self._position = position
        self._vtable = position - reader.integer("i", position)
        size = reader.integer("H", self._vtable)
        if size < 4 or size % 2:
            raise DamagedError(f"{reader.label}: a table's layout is damaged. Get the file again.")
        reader.unpack("B", self._vtable + size - 1)
        self._fields = (size - 4) // 2

    def _field(self, index: int) -> int:
        if index >= self._fields:
            return 0
        offset = self._reader.integer("H", self._vtable + 4 + 2 * index)
        return self._position + offset if offset else 0

    def integer(self, index: int, code: str, default: int = 0) -> int:
        """Read an integer field."""
        position = self._field(index)
        return self._reader.integer(code, position) if position else default

    def has(self, index: int) -> bool:
        """Whether the field is present."""
        return bool(self._field(index))

    def _vector(self, index: int, size: int) -> tuple[int, int]:
        position = self._field(index)
        if not position:
            return 0, 0
        start = position + self._reader.integer("I", position)
        count = self._reader.integer("I", start)
        if start + 4 + count * size > len(self._reader.data):
            raise DamagedError(
                f"{self._reader.label}: expected {count} elements at byte {start + 4}, found a file of "
                f"{len(self._reader.data)} bytes. The file is damaged or truncated; get it again."
            )
        return start + 4, count

    def count(self, index: int, size: int = 4) -> int:
        """Length of a vector field whose elements have ``size`` bytes."""
        return self._vector(index, size)[1]

    def place(self, index: int) -> tuple[int, int]:
        """Where a vector of bytes starts in the buffer, and how many there are; (0, 0) where absent."""
        return self._vector(index, 1)

    def numbers(self, index: int, code: str) -> tuple[int | float, ...]:
        """Read a vector of numbers of one struct code."""
        start, count = self._vector(index, struct.calcsize("<" + code))
        return struct.unpack_from(f"<{count}{code}", self._reader.data, start) if count else ()

    def integers(self, index: int, code: str) -> tuple[int, ...]:
        """Read a vector of integers."""
        return tuple(int(value) for value in self.numbers(index, code))

    def blob(self, index: int) -> bytes:
        """Read a vector of bytes, or a string."""
        start, count = self._vector(index, 1)
        return self._reader.data[start : start + count]

    def span(self, offset: int, size: int) -> bytes:
        """Read bytes that two 64-bit fields place anywhere in the file, outside of any vector.

        Args:
            offset: field of the first byte's position.
            size: field of the number of bytes.
        """
        start, count = self.integer(offset, "Q"), self.integer(size, "Q")
        if start + count > len(self._reader.data):
            raise DamagedError(
                f"{self._reader.label}: expected {count} bytes at byte {start}, found a file of "
                f"{len(self._reader.data)} bytes. The file is damaged or truncated; get it again."
            )
        return self._reader.data[start : start + count]

    def table(self, index: int) -> Table | None:
        """Follow a field to its table."""
        position = self._field(index)
        return Table(self._reader, position + self._reader.integer("I", position)) if position else None

    def tables(self, index: int) -> list[Table]:
        """Follow a vector of tables."""
        start, count = self._vector(index, 4)
        places = range(start, start + 4 * count, 4)
        return [Table(self._reader, place + self._reader.integer("I", place)) for place in places]
