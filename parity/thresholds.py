"""Thresholds from flags, else from a ``parity.toml``, else the defaults."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.core.parameters import parameter
from mnist_export.core.registry import unknown_name
from mnist_export.parity.limits import Thresholds

DEFAULT_FILE = Path("parity.toml")
_KEYS = ("max_drop_pp", "min_agreement_pct")
_MAX_BYTES = 1 << 20


def thresholds_from(
    *,
    config: Path | None = None,
    max_drop: str | float | None = None,
    min_agreement: str | float | None = None,
) -> Thresholds:
    """Settle the thresholds.

    Args:
        config: a TOML file with ``max_drop_pp`` and ``min_agreement_pct``, at the top or under ``[parity]``;
            None takes ``parity.toml`` of the current folder where there is one.
        max_drop: percentage points; wins over the file.
        min_agreement: percent; wins over the file.

    Raises:
        InputError: not numbers, out of range, an unknown key, or a damaged file.
    """
    values = dict.fromkeys(_KEYS, None) | _read(config)
    if max_drop is not None:
        values["max_drop_pp"] = max_drop
    if min_agreement is not None:
        values["min_agreement_pct"] = min_agreement
    drop = _number("max-drop", values["max_drop_pp"], 0.5)
    share = _number("min-agreement", values["min_agreement_pct"], 99.0)
    return Thresholds(max_drop_pp=drop, min_agreement=share / 100)


def _number(name: str, value: Any, default: float) -> float:
    if value is None:
        return default
    if isinstance(value, bool):
        raise InputError(
            f"{parameter(name)}: expected a number, found '{value}'. Example: {parameter(name, default)}"
        )
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"{parameter(name)}: expected a number, found '{value}'. Example: {parameter(name, default)}"
        ) from None


def _read(config: Path | None) -> dict[str, Any]:
    path = config or DEFAULT_FILE
    if config is None and not path.is_file():
        return {}
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path}: expected thresholds, found a file of over 1 MiB.")
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path}: expected TOML such as max_drop_pp = 0.5, found: {error}.") from error
    values = found.get("parity", found)
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a table [parity], found {values!r}.")
    for key in values:
        if key not in _KEYS:
            raise unknown_name(f"threshold in {path}", key, _KEYS)
    return dict(values)
