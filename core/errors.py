"""Errors that a user sees: each carries the exit code of the command-line contract."""

from __future__ import annotations


class MnistExportError(Exception):
    """Base of every error this project raises on purpose.

    The message is one line: what failed, for what, what was expected and found, and what to do.
    """

    exit_code = 2


class InputError(MnistExportError):
    """A file, a data set or an argument is not what it has to be."""


class UnsupportedError(MnistExportError):
    """The input is valid, but the asked-for format or scheme cannot carry it."""


class ConversionError(MnistExportError):
    """A converter failed, or what it wrote failed its audit."""


class MissingExtraError(MnistExportError):
    """A package of an optional extra is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        """Name the package, the extra that holds it and what it is needed for."""
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Run: pip install 'mnist-export[{extra}]'"
        )


class OutputError(MnistExportError):
    """The output folder or file cannot be written."""
