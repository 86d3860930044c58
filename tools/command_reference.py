"""The reference of the commands as a page, from the parsers themselves."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

_COMMANDS = ("export", "train", "bench", "search")


def commands_page() -> str:
    """Every command with its options, defaults and examples, as Markdown."""
    parts = [
        "# Commands\n",
        "Made from the commands' own parsers. Exit codes: 0 all verdicts pass, 1 a verdict fails, 2 bad "
        "usage or input, 130 interrupted, 143 terminated. Messages go to stderr, results to stdout.\n",
    ]
    parts.append(_section(_parser("export"), 2))
    parity = importlib.import_module("mnist_export.cli.parity")
    whole = parity._parser(parity._ALL)
    parts.append(_head(whole, 2))
    for action in whole._actions:
        if isinstance(action, argparse._SubParsersAction):
            parts += [_section(command, 3) for command in action.choices.values()]
    parts += [_section(_parser(name), 2) for name in _COMMANDS[1:]]
    return "\n".join(parts)


def _parser(name: str) -> argparse.ArgumentParser:
    built: argparse.ArgumentParser = importlib.import_module(f"mnist_export.cli.{name}").build_parser()
    return built


def _head(parser: argparse.ArgumentParser, level: int) -> str:
    return f"{'#' * level} {parser.prog}\n\n{_text(parser.description)}\n"


def _section(parser: argparse.ArgumentParser, level: int) -> str:
    lines = [_head(parser, level)]
    for group in parser._action_groups:
        rows = [_row(action) for action in group._group_actions if action.help is not argparse.SUPPRESS]
        if rows:
            about = f"\n\n{_text(group.description)}" if group.description else ""
            lines.append(
                f"**{group.title}**{about}\n\n| option | what it does |\n| --- | --- |\n"
                + "\n".join(rows)
                + "\n"
            )
    if parser.epilog:
        lines.append(f"```text\n{parser.epilog.strip()}\n```\n")
    return "\n".join(lines)


def _row(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else ""
    if not action.option_strings:
        name = f"`{value or action.dest}`"
    else:
        takes = f" {value or action.dest.upper()}" if action.nargs != 0 and not _flag(action) else ""
        name = ", ".join(f"`{option}{takes}`" for option in action.option_strings)
    return f"| {name} | {_text(_help(action))} |"


def _flag(action: Any) -> bool:
    return isinstance(action, argparse.BooleanOptionalAction) or action.nargs == 0


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%%", "%").replace("%(default)s", str(action.default))


def _text(text: str | None) -> str:
    """Words as Markdown: what would be markup there is escaped."""
    plain = " ".join((text or "").split())
    for mark in ("\\", "|", "*", "_", "<", "["):
        plain = plain.replace(mark, f"\\{mark}")
    return plain


if __name__ == "__main__":
    print(commands_page())  # noqa: T201
