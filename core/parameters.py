"""How messages name a parameter: as Python writes it, in backticks.

The same text reaches Python users as it is; the command line turns it into its flags (`cli.flags`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_NAME_ALONE: Final = object()


def parameter(name: str, value: Any = _NAME_ALONE) -> str:
    r"""A parameter as a message names it.

    Args:
        name: the keyword, such as ``"keep_float"``; a minus is read as an underscore.
        value: of it, if the message says one.

    Returns:
        ``"`keep_float`"``, or with a value ``"`max_drop=2`"``, ``"`data=\"digits\"`"``.
    """
    keyword = name.replace("-", "_")
    return f"`{keyword}`" if value is _NAME_ALONE else f"`{keyword}={_written(value)}`"


def parameters(settings: Mapping[str, str]) -> str:
    """Several parameters with their values, as a message names them."""
    return " ".join(parameter(name, value) for name, value in settings.items())


def command_words(settings: Mapping[str, str]) -> list[str]:
    """The same as words of a command line."""
    return [word for name, value in settings.items() for word in (f"--{name.replace('_', '-')}", value)]


def _written(value: Any) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\x60") + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_written(item) for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
