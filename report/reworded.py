"""A report in its reader's words: parameters in its sentences as a shell, or Python, takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from mnist_export.report.schema import Report

_LITERAL: Final = frozenset({"command", "next_command", "path", "name", "names", "class_names"})


def reworded(report: Report, wording: Callable[[str], str]) -> Report:
    """The report with every sentence passed through ``wording``; commands, paths and names stay.

    Args:
        report: whose sentences name parameters as `core.parameters` does.
        wording: such as `Progress.wording`.
    """
    found: Report = _reworded(report, wording)
    return found


def _reworded(value: Any, wording: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return value if isinstance(value, Enum) else wording(value)
    if isinstance(value, tuple):
        items = tuple(_reworded(item, wording) for item in value)
        return items if items != value else value
    if isinstance(value, dict):
        return {key: _reworded(item, wording) for key, item in value.items()}
    if not dataclasses.is_dataclass(value):
        return value
    fields = [field.name for field in dataclasses.fields(value) if field.name not in _LITERAL]
    old = {name: getattr(value, name) for name in fields}
    new = {name: _reworded(item, wording) for name, item in old.items()}
    changed = {name: item for name, item in new.items() if item != old[name]}
    return dataclasses.replace(value, **changed) if changed else value  # type: ignore[type-var]
