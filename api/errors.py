"""The one error of the Python interface, and what surrounds each call."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class InputError(ValueError):
    """An argument, a model or data is not what it has to be; the message says so in one line."""


@contextlib.contextmanager
def one_call(*, quiet: bool = True) -> Iterator[None]:
    """Run a call: errors become `InputError`, nothing is printed, no global state stays changed.

    Args:
        quiet: keep what native libraries write off stderr as well.

    Raises:
        InputError: for each error that a command would end with exit code 2.
    """
    from mnist_export.core.errors import MnistExportError
    from mnist_export.core.native_log import quiet_stderr
    from mnist_export.unchanged import unchanged

    try:
        with unchanged(), quiet_stderr() if quiet else contextlib.nullcontext():
            yield
    except MnistExportError as error:
        raise InputError(str(error)) from error
