"""What every command shares: messages on stderr, exit codes, signals, the common options."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from mnist_export.core.errors import MnistExportError

MAX_MESSAGE, MAX_ERROR = 400, 900
EXIT_PASS, EXIT_VERDICT, EXIT_USAGE, EXIT_INTERRUPT, EXIT_TERMINATED = 0, 1, 2, 130, 143

# C0 and C1 controls, DEL, and the marks that reorder text: a model's strings must not steer a terminal.
_BIDI = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
_UNSAFE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}
_UNSAFE |= {code: f"\\u{code:04x}" for code in _BIDI}
_SAFE_LINES = {code: text for code, text in _UNSAFE.items() if code not in (0x09, 0x0A)}


_NEGATIVE = re.compile(r"-(\.?\d|inf\b)[-+\d.,eEinf]*$")


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; unwinds like Ctrl-C, so that cleanup runs, but exits with 143."""


def printable(text: str, *, lines: bool = False) -> str:
    r"""Escape control characters and bidirectional marks as ``\xNN``.

    Args:
        text: any text, such as a layer's name from a foreign file.
        lines: keep tabs and line feeds; otherwise the result is one line.
    """
    return text.translate(_SAFE_LINES if lines else _UNSAFE)


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


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose error is one line, and whose options take values that begin with a minus."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        """Build it as argparse does, with ``--version``."""
        super().__init__(*arguments, **options)
        self.add_argument("--version", action=_Version)
        # where this matches a word, argparse takes it for a value: -1 by itself, and here -1,1 too
        self._negative_number_matcher = _NEGATIVE

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong with the arguments, and exit with 2."""
        text = message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}..."
        Console().error(f"{text.rstrip('.')}. See {self.prog} --help.")
        raise SystemExit(EXIT_USAGE)


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
    """

    quiet: bool = False
    verbose: bool = False

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
        shown = text if len(text) <= MAX_ERROR or self.verbose else f"{text[:MAX_ERROR]}..."
        self._write(f"error: {printable(shown)}")

    @staticmethod
    def _write(text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(printable(text, lines=True) + "\n")
            sys.stderr.flush()


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, ``-q`` and ``-v`` to a command."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="write the result as JSON to stdout, nothing else")
    group.add_argument("-q", "--quiet", action="store_true", help="only warnings and errors")
    group.add_argument("-v", "--verbose", action="store_true", help="details, and tracebacks of errors")


def console_of(arguments: argparse.Namespace) -> Console:
    """Build the console that ``-q`` and ``-v`` ask for."""
    return Console(quiet=arguments.quiet, verbose=arguments.verbose)


def emit(text: str) -> None:
    """Write one result to stdout, ended by a line feed."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def emit_json(value: Mapping[str, Any] | list[Any]) -> None:
    """Write one JSON document to stdout; NaN and infinities are refused by ``json``."""
    emit(json.dumps(value, indent=2, allow_nan=False))


def silence_native_logs() -> None:
    """Set the variables that keep TensorFlow's start-up lines off stderr; before its import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("ABSL_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    def handler(_number: int, _frame: FrameType | None) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def run_command(
    parser: argparse.ArgumentParser,
    words: Sequence[str],
    execute: Callable[[argparse.Namespace, Console], int],
) -> int:
    """Parse a command's words and do its work; every exit is a code of the contract.

    Args:
        parser: describes the command line.
        words: arguments without the program's name.
        execute: does the work with the parsed arguments and returns 0 or 1.
    """
    try:
        arguments = parser.parse_args(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_USAGE
    console = console_of(arguments)
    return run(lambda: execute(arguments, console), console)


def run(command: Callable[[], int], console: Console) -> int:  # noqa: PLR0911 - one exit code each
    """Run a command's work and turn what goes wrong into one line and an exit code.

    Args:
        command: does the work and returns 0 (all verdicts pass) or 1 (one fails).
        console: where the line goes.

    Returns:
        ``command``'s own code; 2 for bad input or an internal error; 130 on Ctrl-C; 143 on SIGTERM.
    """
    silence_native_logs()
    try:
        with _sigterm_raises():
            return command()
    except MnistExportError as error:
        _trace(console)
        console.error(str(error))
        return error.exit_code
    except Terminated:
        console.error("terminated; files that were finished stay, nothing is half-written.")
        return EXIT_TERMINATED
    except KeyboardInterrupt:
        console.error("interrupted; files that were finished stay, nothing is half-written.")
        return EXIT_INTERRUPT
    except BrokenPipeError:
        # The reader of stdout went away (such as `| head`): not an error of this command.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PASS
    except MemoryError:
        _trace(console)
        console.error("out of memory. Use a smaller model, fewer images or a smaller --batch-size.")
        return EXIT_USAGE
    except Exception as error:  # noqa: BLE001 - the outermost boundary: no traceback reaches a user unasked
        _trace(console)
        console.error(
            f"internal error: {type(error).__name__}: {error} (run again with -v for the traceback)"
        )
        return EXIT_USAGE


def _trace(console: Console) -> None:
    if console.verbose:
        sys.stderr.write(printable(traceback.format_exc(), lines=True))
