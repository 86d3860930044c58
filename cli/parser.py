"""The parser of every command: one-line errors, values that begin with a minus, help by topic, completion."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from mnist_export.cli.console import EXIT_USAGE, Console, emit

MAX_MESSAGE = 400
SHELLS = ("bash", "zsh", "tcsh")
_NEGATIVE = re.compile(r"-(\.?\d|inf\b)[-+\d.,eEinf]*$")


class _Version(argparse.Action):
    """Prints the version of the package and ends; it is looked up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], **_: Any) -> None:
        super().__init__(
            option_strings,
            argparse.SUPPRESS,
            nargs=0,
            default=argparse.SUPPRESS,
            help="print the version and exit",
        )

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        emit(f"{parser.prog.partition(' ')[0]} {version('mnist-export')}")
        parser.exit()


class _WholeHelp(argparse.Action):
    """Prints the help of every topic."""

    def __init__(self, option_strings: Sequence[str], **_: Any) -> None:
        super().__init__(
            option_strings,
            argparse.SUPPRESS,
            nargs=0,
            default=argparse.SUPPRESS,
            help="every option of every topic",
        )

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        emit(parser.format_whole_help().rstrip("\n") if isinstance(parser, CommandParser) else "")
        parser.exit()


class _Completion(argparse.Action):
    """Prints a completion script, made by shtab from the parser."""

    def __init__(self, option_strings: Sequence[str], **_: Any) -> None:
        super().__init__(
            option_strings,
            argparse.SUPPRESS,
            default=argparse.SUPPRESS,
            metavar="SHELL",
            help="print a completion script for bash, zsh or tcsh and exit",
        )

    def __call__(self, parser: argparse.ArgumentParser, _namespace: Any, values: Any, *_: Any) -> None:
        import shtab

        if values not in SHELLS:
            parser.error(f"--print-completion: expected one of {', '.join(SHELLS)}, found {values}")
        _complete_known(parser)
        emit(shtab.complete(parser, values).rstrip("\n"))
        parser.exit()


def completes(action: argparse.Action, *, known: Sequence[str] = (), files: bool = False) -> argparse.Action:
    """Say what a shell may offer for an option's value; parsing is not changed by it.

    Args:
        action: what ``add_argument`` returned.
        known: names.
        files: whether paths are offered.
    """
    action.known = tuple(known)  # type: ignore[attr-defined]
    action.files = files  # type: ignore[attr-defined]
    return action


def _complete_known(parser: argparse.ArgumentParser) -> None:
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _complete_known(command)
        elif getattr(action, "known", ()):
            action.choices = list(action.known)  # type: ignore[attr-defined]
        elif getattr(action, "files", False) or action.metavar in {"FILE", "DIR", "PATH"}:
            action.complete = shtab.FILE  # type: ignore[attr-defined]


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose error is one line, and whose options take values that begin with a minus.

    Groups that are added with a topic are left out of ``--help``; ``--help-all`` shows all, and ``COMMAND
    help TOPIC`` one of them.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Build it as argparse does, with ``--version`` and ``--print-completion``."""
        self.topics: dict[str, tuple[str, list[Any]]] = {}
        super().__init__(*arguments, **options)
        self.add_argument("--version", action=_Version)
        # where this matches a word, argparse takes it for a value: -1 by itself, and here -1,1 too
        self._negative_number_matcher = _NEGATIVE

    def add_topic(self, name: str, text: str) -> Any:
        """Add a group of options that the first screen of the help leaves to ``help NAME``.

        Args:
            name: of the topic, one word.
            text: what its options are about.
        """
        group = self.add_argument_group(name, text)
        self.topics[name] = (text, [group])
        return group

    def add_last(self) -> None:
        """Add what stands at the end of the first screen: ``--help-all`` and ``--print-completion``."""
        self.add_whole_help()
        self.add_argument("--print-completion", action=_Completion)

    def add_whole_help(self) -> None:
        """Add ``--help-all`` where there are topics."""
        if self.topics:
            self.add_argument("--help-all", action=_WholeHelp)

    def topic_asked_for(self, words: Sequence[str]) -> tuple[CommandParser, Sequence[str]] | None:
        """Whose help ``help`` or ``COMMAND help`` asks for, and the topics; None where it is not asked for.

        Args:
            words: of the command line.
        """
        if self.topics and words[:1] == ["help"]:
            return self, words[1:]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and words and words[0] in action.choices:
                found = action.choices[words[0]]
                return found.topic_asked_for(words[1:]) if isinstance(found, CommandParser) else None
        return None

    def format_help(self) -> str:
        """The first screen: what most people need, the topics of the rest, and examples."""
        if not self.topics:
            return super().format_help()
        left_out = [group for _, groups in self.topics.values() for group in groups]
        shown = [group for group in self._action_groups if group not in left_out]
        actions = [action for group in shown for action in group._group_actions]
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, actions, [])
        formatter.add_text(self.description)
        for group in shown:
            formatter.start_section(group.title)
            formatter.add_text(group.description)
            formatter.add_arguments(group._group_actions)
            formatter.end_section()
        width = max(len(name) for name in self.topics)
        lines = [f"  {name:<{width}}  {text}" for name, (text, _) in self.topics.items()]
        formatter.add_text(f"more, by topic ({self.prog} help TOPIC, or --help-all):\n" + "\n".join(lines))
        formatter.add_text(self.epilog)
        return formatter.format_help()

    def format_whole_help(self) -> str:
        """Every option of every topic."""
        return super().format_help()

    def format_topic(self, name: str) -> str:
        """The options of one topic.

        Raises:
            InputError: there is no such topic.
        """
        from mnist_export.core.registry import unknown_name

        if name not in self.topics:
            raise unknown_name("topic", name, self.topics)
        formatter = self._get_formatter()
        for group in self.topics[name][1]:
            formatter.start_section(f"{self.prog}, {group.title}")
            formatter.add_text(group.description)
            formatter.add_arguments(group._group_actions)
            formatter.end_section()
        return formatter.format_help()

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong with the arguments, and exit with 2."""
        text = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."
        Console().error(f"{text.rstrip('.')}. See {self.prog} --help.")
        raise SystemExit(EXIT_USAGE)
