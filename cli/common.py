"""What every command shares: messages on stderr, exit codes, signals, the common options."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from mnist_export.cli.console import (
    EXIT_INTERRUPT,
    EXIT_PASS,
    EXIT_TERMINATED,
    EXIT_USAGE,
    Console,
    discard_stdout,
    emit,
    printable,
)
from mnist_export.cli.flags import wording
from mnist_export.cli.parser import CommandParser
from mnist_export.core.errors import MnistExportError


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; unwinds like Ctrl-C, so that cleanup runs, but exits with 143."""


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``, ``-q`` and ``-v`` to a command."""
    group = parser.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="write the result as JSON to stdout, nothing else")
    group.add_argument("-q", "--quiet", action="store_true", help="only warnings and errors")
    group.add_argument("-v", "--verbose", action="store_true", help="details, and tracebacks of errors")


def console_of(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> Console:
    """Build the console that ``-q`` and ``-v`` ask for; it speaks of the parser's flags."""
    return Console(quiet=arguments.quiet, verbose=arguments.verbose, wording=wording(parser))


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
    asked = parser.topic_asked_for(words) if isinstance(parser, CommandParser) else None
    if asked is not None:
        if Path("help").exists():
            Console().note("this is the help; the model or folder named help is reached as ./help")
        return run(lambda: _help(*asked), Console())
    try:
        arguments = parser.parse_args(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else EXIT_USAGE
    console = console_of(arguments, parser)
    return run(lambda: execute(arguments, console), console)


def _help(parser: CommandParser, words: Sequence[str]) -> int:
    emit(
        "\n".join(parser.format_topic(word) for word in words) if words else parser.format_help().rstrip("\n")
    )
    return EXIT_PASS


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
        discard_stdout()
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
