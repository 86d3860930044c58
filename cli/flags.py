"""Parameters in messages as a shell takes them: ``max_drop=2`` of the library is ``--max-drop 2``.

The library writes a parameter as Python does, in backticks (`core.parameters`). All text that a command shows
passes here once, on its way out.
"""

from __future__ import annotations

import argparse
import ast
import functools
import re
import shlex
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

_PARAMETER: Final = re.compile(r"`([a-z][a-z0-9_]*)(?:=([^`\n]+))?`")
_RENAMED: Final = {"formats": "format"}  # Python's keyword to the command's option
_NUMBER: Final = re.compile(r"-(\.?\d|inf\b)")


def flag_of(keyword: str) -> str:
    """The flag of a keyword."""
    return "--" + _RENAMED.get(keyword, keyword).replace("_", "-")


def keywords_of_export() -> frozenset[str]:
    """The keywords of ``mnist-export``, which the advice of every command may be about."""
    from mnist_export.pipeline.request import defaults

    return frozenset((*defaults(), *_RENAMED))


def keywords_of(parser: argparse.ArgumentParser) -> frozenset[str]:
    """The options of a parser and of its subcommands, as keywords."""
    found: set[str] = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found.update(*map(keywords_of, action.choices.values()))
        found.update(flag[2:].replace("-", "_") for flag in action.option_strings if flag.startswith("--"))
    return frozenset(found)


def as_flags(text: str, known: Collection[str]) -> str:
    """A text with flags where the library names parameters; what is no parameter here stays.

    Args:
        text: such as ``"`max_drop`: expected a number. Example: `max_drop=0.5`"``.
        known: keywords, from `keywords_of`.
    """

    def flag(found: re.Match[str]) -> str:
        name, value = found[1], found[2]
        if value == "False" and f"no_{name}" in known:
            return flag_of(f"no_{name}")
        if name not in known:
            return found[0]
        return flag_of(name) if value in {None, "True"} else _with_value(flag_of(name), value)

    return _PARAMETER.sub(flag, text)


def wording(parser: argparse.ArgumentParser) -> Callable[[str], str]:
    """`as_flags` for one command; its options are looked up when the first parameter is met."""
    known = functools.cache(lambda: keywords_of(parser) | keywords_of_export())
    return lambda text: as_flags(text, known()) if "`" in text else text


def _with_value(flag: str, value: str) -> str:
    words = [str(item) for item in _items(value)]
    if len(words) == 1 and words[0].startswith("-") and not _NUMBER.match(words[0]):
        return shlex.quote(f"{flag}={words[0]}")
    return " ".join([flag, *map(shlex.quote, words)])


def _items(value: str) -> Sequence[Any]:
    """The values of a parameter; what is no text or list, such as N or 0.50, stays as it is written."""
    try:
        read = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return [value.strip("\"'")]
    return read if isinstance(read, list | tuple) else [read if isinstance(read, str) else value]
