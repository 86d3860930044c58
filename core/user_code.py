"""Runs a user's own Python file, which the user said is to be trusted, and blames the right line of it."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from mnist_export.core.errors import InputError, MnistExportError

_MOST = 300


def load_user_file(path: Path) -> ModuleType:
    """Import a Python file under a name of its own; its folder is searched for what it imports.

    What it prints goes to stderr.

    Raises:
        InputError: it is missing, or raises.
    """
    name = f"mnist_export_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise InputError(f"{_plain(path)}: expected a Python file, found none. Check the path.")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # classes find their module by name when they are saved or read back
    try:
        with running(path, "import"), _importable(path.resolve().parent):
            spec.loader.exec_module(module)
    except InputError:
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        raise
    return module


@contextlib.contextmanager
def running(path: Path, what: str) -> Iterator[None]:
    """Turn whatever a user's code raises inside the block into one line with its file and line number.

    Args:
        path: the user's file.
        what: what of it runs, such as ``"load()"``.

    Raises:
        InputError: it raised, or asked to exit.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except MnistExportError:
        raise
    except (Exception, SystemExit) as error:
        raise _raised(path, error, _line_of(path, error), what) from error


def blamed(path: Path, error: BaseException, what: str) -> InputError | None:
    """The error for what a user's code raised; None where no line of its file had a part in it.

    Args:
        path: the user's file.
        error: as it was caught, maybe wrapped by others.
        what: what of it ran.
    """
    chain: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in chain:
        chain.append(seen)
        seen = seen.__cause__ or seen.__context__
    for part in reversed(chain):
        if line := _line_of(path, part):
            return _raised(path, part, line, what)
    return None


def _raised(path: Path, error: BaseException, line: str, what: str) -> InputError:
    return InputError(
        f"{_plain(path)}{line}: expected {what} to run, found that it raises {type(error).__name__}: "
        f"{_plain(str(error))[:_MOST] or 'without a message'}. Correct it."
    )


def _line_of(path: Path, error: BaseException) -> str:
    """The last line of the user's file that was at work, as ``" line N"``."""
    own = str(path.resolve())
    if isinstance(error, SyntaxError) and error.lineno and error.filename in {own, str(path)}:
        return f" line {error.lineno}"
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if str(Path(frame.filename).resolve()) == own
    ]
    return f" line {lines[-1]}" if lines else ""


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


def _plain(text: object) -> str:
    """One printable line."""
    return "".join(c if c.isprintable() else " " for c in str(text)).strip()
