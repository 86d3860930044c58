"""Messages on stderr, results on stdout, exit codes."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mnist_export.core.errors import OutputError

MAX_ERROR = 900
EXIT_PASS, EXIT_VERDICT, EXIT_USAGE, EXIT_INTERRUPT, EXIT_TERMINATED = 0, 1, 2, 130, 143

# C0 and C1 controls, DEL, and the marks that reorder text: a model's strings must not steer a terminal.
_BIDI = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_UNSAFE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_UNSAFE |= {code: f"\\u{code:04x}" for code in _BIDI}
_SAFE_LINES = {code: text for code, text in _UNSAFE.items() if code not in (0x09, 0x0A)}


def printable(text: str, *, lines: bool = False) -> str:
    r"""Escape control characters and bidirectional marks as ``\xNN``.

    Args:
        text: any text, such as a layer's name from a foreign file.
        lines: keep tabs and line feeds; otherwise the result is one line.
    """
    return text.translate(_SAFE_LINES if lines else _UNSAFE)


class _TerminalBar:
    """A tqdm bar, by the names that a run calls it."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def describe(self, text: str) -> None:
        """Write the running step before the bar."""
        self._bar.set_description(text[:60])

    def advance(self) -> None:
        """Count one step as done."""
        self._bar.update()


@dataclass(frozen=True, kw_only=True)
class Console:
    """Writes for people to stderr; results for machines go to stdout by `emit_json`.

    Attributes:
        quiet: only warnings and errors.
        verbose: details, and the traceback of an error.
        wording: brings a text of the library into this command's words; see `cli.flags`.
    """

    quiet: bool = False
    verbose: bool = False
    wording: Callable[[str], str] = str

    @property
    def progress(self) -> bool:
        """Whether progress bars are wanted: not quiet, and stderr is a terminal."""
        return not self.quiet and sys.stderr.isatty()

    @contextlib.contextmanager
    def bar(self, total: int) -> Iterator[_TerminalBar]:
        """Show a bar over ``total`` steps where somebody watches."""
        from tqdm import tqdm

        with tqdm(
            total=total, disable=not self.progress, leave=False, bar_format="{l_bar}{bar}| {elapsed}"
        ) as bar:
            yield _TerminalBar(bar)

    def note(self, text: str) -> None:
        """Say what is being done; silent with -q."""
        if not self.quiet:
            self._write(text)

    def detail(self, text: str) -> None:
        """Say something only with -v."""
        if self.verbose:
            self._write(text)

    def warn(self, text: str) -> None:
        """Say something that a user must not miss, also with -q."""
        self._write(f"warning: {text}")

    def error(self, text: str) -> None:
        """Say, in one line, why the command stops."""
        text = self.wording(text)
        shown = text if len(text) <= MAX_ERROR or self.verbose else f"{text[:MAX_ERROR]}..."
        _to_stderr(f"error: {printable(shown)}")

    def _write(self, text: str) -> None:
        _to_stderr(self.wording(text))


def _to_stderr(text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(printable(text, lines=True) + "\n")
        sys.stderr.flush()


def emit(text: str) -> None:
    """Write one result to stdout, ended by a line feed.

    Raises:
        OutputError: stdout is closed, or what it leads to is full.
        BrokenPipeError: its reader went away.
    """
    if sys.stdout is None:
        raise OutputError("standard output: expected an open file, found a closed one.")
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard_stdout()
        raise OutputError(f"standard output: cannot be written: {error.strerror}.") from error


def discard_stdout() -> None:
    """Let what is still to be written to stdout go nowhere, so that Python's end does not stumble over it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def emit_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Write one JSON document to stdout; NaN and infinities are refused by ``json``."""
    emit(json.dumps(value, indent=2, allow_nan=False))
