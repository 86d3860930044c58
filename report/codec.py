"""A report's JSON form: reading, and writing with the fields in their order."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from mnist_export.core.errors import InputError
from mnist_export.core.record import Record, decode

R = TypeVar("R")

_MAX_DEPTH = 64


def decode_json(text: str | bytes, kind: type[R], *, name: str) -> R:
    """Read a record from JSON text; unknown fields are ignored, as a later version may add some.

    Args:
        text: JSON, UTF-8 when bytes.
        kind: the record's class.
        name: the file's name, for error messages.

    Raises:
        InputError: not JSON, NaN or infinity in it, a field missing or of another type.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise InputError(f"{name}: nested too deeply for a report.") from None
    except ValueError as error:
        raise InputError(f"{name}: not valid JSON ({error}). Write the report again.") from error
    try:
        return decode(value, kind, "")
    except InputError as error:
        raise InputError(f"{name}: {error} The file is damaged or not a report; write it again.") from error


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is not JSON")


def encode(value: object) -> Any:
    """Turn a record (or a part of one) into JSON's types; keys keep the order of the fields."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: encode(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.repr
        }
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    return value


def encode_json(record: Record) -> str:
    """JSON text of a record: indented, rows of plain values on one line, ASCII only, no NaN."""
    return _write(encode(record), 0) + "\n"


def _write(value: Any, depth: int) -> str:
    if depth > _MAX_DEPTH:
        raise InputError(f"a report of at most {_MAX_DEPTH} levels was expected, found a deeper one.")
    pad, end = "  " * (depth + 1), "\n" + "  " * depth
    if isinstance(value, dict) and value:
        rows = [f"{pad}{json.dumps(key)}: {_write(item, depth + 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + end + "}"
    if isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        return "[\n" + ",\n".join(pad + _write(item, depth + 1) for item in value) + end + "]"
    return json.dumps(value, allow_nan=False)
