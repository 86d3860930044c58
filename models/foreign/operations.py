"""Judges Keras 3's operations: functions on tensors between a functional model's layers, such as ``x + 3``.

Building a model calls them. So which ones may stand in a file is a fixed table, each must read a tensor of
the model (a call on constants alone would be computed at once), and its constants are few and plain numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mnist_export.data.limits import bad_file as refuse
from mnist_export.models.foreign import allowlist
from mnist_export.models.foreign.limits import MAX_CONSTANTS, quoted
from mnist_export.models.structure.nodes import OPERATION_MODULES

_ADVICE = "Replace it with a Keras layer (Add, Multiply, Activation...) and save again."
_TENSOR = "__keras_tensor__"
Inspect = Callable[[Any, str], None]


def from_operation_module(module: Any) -> bool:
    """Whether a class claims to be one of Keras 3's operations."""
    return isinstance(module, str) and f"{module}.".startswith(f"{OPERATION_MODULES}.")


def check_operation(value: dict[str, Any], called: str, where: str | Path, inspect: Inspect) -> None:
    """Refuse an operation that is not in the table, or called on anything but tensors and few numbers.

    Args:
        value: its part of the configuration, with a module of operations.
        called: how messages name it.
        where: the file, for messages.
        inspect: judges a string or a number; takes it and its key.

    Raises:
        InputError: the message names the operation.
    """
    module, kind = value["module"], value["class_name"]
    if kind not in allowlist.OPERATIONS.get(module, frozenset()):
        raise refuse(
            where,
            "operations between layers that only compute on their inputs (x + y, ops.relu, ops.mean...)",
            f"{called} of class {quoted(kind)} from module {quoted(module)}",
            _ADVICE,
        )
    nodes = value.get("inbound_nodes", [])
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise refuse(where, "a list of calls", f"{called} with another", "Save the whole model again.")
    constants = 0
    for node in nodes:
        arguments = _Arguments(called=called, where=where, inspect=inspect)
        for key, item in node.items():
            if key not in {"args", "kwargs"}:
                raise arguments.refused(f"{quoted(key)} in a call")
            for part in item.values() if key == "kwargs" and isinstance(item, dict) else [item]:
                arguments.value(part)
        if not arguments.tensors:
            raise refuse(where, "operations on a layer's output", f"{called} on constants alone", _ADVICE)
        constants += arguments.constants
    check_constants(constants, called, where)


def check_constants(count: int, called: str, where: str | Path) -> None:
    """Refuse a function on tensors that is called with more numbers than a few.

    Raises:
        InputError: there are more than `MAX_CONSTANTS`.
    """
    if count > MAX_CONSTANTS:
        raise refuse(
            where,
            f"at most {MAX_CONSTANTS:,} constants in an operation",
            f"{count:,} in {called}",
            "Put them into a layer with weights and save again.",
        )


class _Arguments:
    """What an operation is called with; counts tensors and numbers."""

    def __init__(self, *, called: str, where: str | Path, inspect: Inspect) -> None:
        self.called, self.where, self.inspect = called, where, inspect
        self.tensors = self.constants = 0

    def refused(self, found: str) -> Exception:
        return refuse(self.where, "tensors, numbers and slices", f"{found} of {self.called}", _ADVICE)

    def value(self, value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                self.value(item)
        elif isinstance(value, dict):
            self.object(value)
        elif value is not None:
            self.number(value)

    def number(self, value: Any) -> None:
        if not isinstance(value, (int, float)):
            raise self.refused(f"{quoted(value)} in a call")
        self.constants += 1
        if not isinstance(value, bool):
            self.inspect(value, "constant")

    def object(self, value: dict[str, Any]) -> None:
        kind, config = value.get("class_name"), value.get("config")
        allowed = allowlist.ARGUMENTS.get(kind) if isinstance(kind, str) else None
        if allowed is None or not isinstance(config, dict) or set(value) - {"class_name", "config"}:
            raise self.refused(f"an object of class {quoted(kind)} in a call")
        if set(config) - allowed:
            raise self.refused(f"a {quoted(kind)} with unknown settings in a call")
        if kind == _TENSOR:
            self.tensors += 1
            for key, item in config.items():
                self.described(item, str(key))
        else:
            self.inspect(str(config.get("dtype", "float32")), "dtype")
            for key in allowed & set(config) - {"dtype"}:
                self.numbers(config[key])

    def numbers(self, value: Any) -> None:
        if isinstance(value, list):
            for item in value:
                self.numbers(item)
        elif value is not None:
            self.number(value)

    def described(self, value: Any, key: str) -> None:
        """A tensor's own description: strings and numbers, no objects."""
        if isinstance(value, dict):
            raise self.refused("an object inside of a tensor")
        if isinstance(value, list):
            for item in value:
                self.described(item, key)
        elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
            self.inspect(value, key)
