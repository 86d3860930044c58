"""Dataclasses that check themselves on creation and have a JSON form: the type hints are the schema."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar, TypeVar

from mnist_export.core.errors import InputError

R = TypeVar("R")

Interval = tuple[float, float]


def check_interval(interval: Interval | None, where: str) -> None:
    """Refuse an interval whose ends are swapped."""
    if interval is not None and interval[0] > interval[1]:
        raise InputError(f"{where}: expected [low, high], found {list(interval)}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Record:
    """Base of results with a JSON form: frozen, keyword-only, validated on creation.

    Supported field types are str, bool, int, float, enums of strings, records, other dataclasses,
    ``tuple[X, ...]``, ``tuple[X, Y]``, ``dict[str, X]`` and ``X | None``. NumPy scalars become Python's. A
    non-finite float becomes None where the field allows None ("not measured"), and is an error elsewhere.
    A field with ``repr=False`` is no part of the JSON form; it has a default and is not compared.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ()
    """Names of fields that are fractions of 1."""
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ()
    """Names of fields that cannot be below 0."""

    def __post_init__(self) -> None:
        """Check and normalise every field against its type hint, then the record as a whole."""
        own_class: Any = type(self)  # Any: type checkers hold a frozen dataclass's class for unhashable
        kind = own_class.__name__
        for name, hint in _hints(own_class).items():
            object.__setattr__(self, name, _coerce(getattr(self, name), hint, f"{kind}.{name}"))
        for name in self.FRACTIONS:
            value = getattr(self, name)
            if value is not None and not 0.0 <= value <= 1.0:
                raise InputError(f"{kind}.{name}: expected a fraction of 1, found {value:g}.")
        for name in self.NOT_NEGATIVE:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise InputError(f"{kind}.{name}: expected 0 or more, found {value:g}.")
        self._check()

    def _check(self) -> None:
        """Check what concerns several fields at once; raises InputError."""


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _wrong(where: str, expected: str, found: object) -> InputError:
    text = repr(found)
    return InputError(
        f"{where}: expected {expected}, found {text if len(text) <= 60 else text[:57] + '...'}."
    )


def _coerce(value: object, hint: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = next(a for a in arguments if a is not type(None))
        if value is None or (isinstance(value, float | numbers.Real) and not _is_finite(value)):
            return None
        return _coerce(value, inner, where)
    if origin is tuple:
        return _coerce_tuple(value, arguments, where)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong(where, "an object", value)
        for key in value:
            if not isinstance(key, str):
                raise _wrong(where, "text as key", key)
        return {str(key): _coerce(item, arguments[1], f"{where}.{key}") for key, item in value.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else decode(value, hint, where)
    return _coerce_scalar(value, hint, where)


def _is_finite(value: object) -> bool:
    try:
        return math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return True  # an integer too large for a double; the scalar check says so


def _coerce_tuple(value: object, arguments: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, tuple | list):
        raise _wrong(where, "a list", value)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple(_coerce(item, arguments[0], f"{where}[{i}]") for i, item in enumerate(value))
    if len(value) != len(arguments):
        raise _wrong(where, f"{len(arguments)} values", value)
    return tuple(
        _coerce(item, hint, f"{where}[{i}]")
        for i, (item, hint) in enumerate(zip(value, arguments, strict=True))
    )


def _coerce_scalar(value: object, hint: type, where: str) -> object:
    if issubclass(hint, Enum):
        try:
            return hint(value)
        except ValueError:
            raise _wrong(where, "one of " + ", ".join(str(m.value) for m in hint), value) from None
    if hint is str and isinstance(value, str):
        return str(value)
    # numpy.bool is not registered as a number, yet has item() like every NumPy scalar.
    plain = value.item() if not isinstance(value, str) and hasattr(value, "item") else value
    if hint is bool and isinstance(plain, bool):
        return plain
    if hint is int and isinstance(plain, numbers.Integral) and not isinstance(plain, bool):
        return int(plain)
    if hint is float and isinstance(plain, numbers.Real) and not isinstance(plain, bool):
        try:
            number = float(plain)
        except OverflowError:
            raise _wrong(where, "a number that a double holds", plain) from None
        if not math.isfinite(number):
            raise _wrong(where, "a finite number", number)
        return number
    names = {str: "text", bool: "true or false", int: "an integer", float: "a number"}
    raise _wrong(where, names.get(hint, hint.__name__), value)


def decode(value: object, kind: type[R], where: str) -> R:
    """Read a dataclass from what its JSON form holds; ``where`` names it in messages.

    Raises:
        InputError: a field is missing or of another type.
    """
    if not isinstance(value, Mapping):
        raise _wrong(where, "an object", value)
    given: dict[str, Any] = {}
    record_class: Any = kind
    fields = {field.name: field for field in dataclasses.fields(record_class)}
    for name, hint in _hints(record_class).items():
        field = fields[name]
        if name in value and field.repr:
            given[name] = _coerce(value[name], hint, f"{where}.{name}" if where else name)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise InputError(f"{where + ': ' if where else ''}the field '{name}' is missing.")
    try:
        return kind(**given)
    except InputError as error:
        raise InputError(f"{where}: {error}" if where else str(error)) from error
