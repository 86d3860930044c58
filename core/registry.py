"""Literal tables from a name to the place of its implementation, loaded on first use."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from mnist_export.core.errors import InputError

T = TypeVar("T")


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Build the error for a name that no table holds, with the nearest known name.

    Args:
        kind: what the name stands for, such as ``"architecture"``.
        name: the name as given.
        known: every name that would have been accepted.
    """
    names = sorted(known)
    nearest = difflib.get_close_matches(name.lower(), [n.lower() for n in names], n=1, cutoff=0.5)
    hint = f" Did you mean '{next(n for n in names if n.lower() == nearest[0])}'?" if nearest else ""
    return InputError(f"unknown {kind} '{name}': expected one of {', '.join(names)}.{hint}")


class LazyRegistry(Generic[T]):
    """Maps a name to ``"module:attribute"``; imports the module when the name is first asked for.

    Args:
        kind: what an entry is, for error messages.
        entries: name to ``"module:attribute"``.
    """

    def __init__(self, kind: str, entries: Mapping[str, str]) -> None:
        """Keep the table; nothing is imported yet."""
        self._kind = kind
        self._entries = dict(entries)

    def __contains__(self, name: object) -> bool:
        """Whether the table holds the name."""
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the table's own order."""
        return iter(self._entries)

    def get(self, name: str) -> T:
        """Return the entry for ``name``.

        Raises:
            InputError: no such name; the message lists the known ones and the nearest.
        """
        if name not in self._entries:
            raise unknown_name(self._kind, name, self._entries)
        module, _, attribute = self._entries[name].partition(":")
        value: T = getattr(importlib.import_module(module), attribute)
        return value
