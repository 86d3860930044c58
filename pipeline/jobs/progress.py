"""How a run says what it does: a protocol that a terminal, a notebook or nobody listens to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


class Bar(Protocol):
    """A bar over the steps of a run."""

    def describe(self, text: str) -> None:
        """Say which step is running."""

    def advance(self) -> None:
        """Count one step as done."""


class Progress(Protocol):
    """Receives what a run has to say while it runs."""

    @property
    def wording(self) -> Callable[[str], str]:
        """How sentences of the run's report name parameters: as Python does, or as a shell takes them."""

    def note(self, text: str) -> None:
        """Take a sentence that most users want to read."""

    def detail(self, text: str) -> None:
        """Take a sentence for those who asked for more."""

    def warn(self, text: str) -> None:
        """Take a sentence that a user must not miss."""

    def bar(self, total: int) -> AbstractContextManager[Bar]:
        """Show a bar over ``total`` steps while a block runs."""


class _NoBar:
    """A bar that nobody sees."""

    def describe(self, text: str) -> None:
        """Do nothing."""

    def advance(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Callback:
    """Hands sentences to one function; shows no bar.

    Attributes:
        notify: called with each note, and with each warning behind ``warning: ``; None takes them silently.
        details: called with each detail; None passes them over.
        wording: of the report; as it is: parameters as Python writes them.
    """

    notify: Callable[[str], None] | None = None
    details: Callable[[str], None] | None = None
    wording: Callable[[str], str] = str

    def note(self, text: str) -> None:
        """Hand the sentence on."""
        if self.notify is not None:
            self.notify(text)

    def detail(self, text: str) -> None:
        """Hand the sentence on where details are wanted."""
        if self.details is not None:
            self.details(text)

    def warn(self, text: str) -> None:
        """Hand the sentence on, marked as a warning."""
        self.note(f"warning: {text}")

    def bar(self, total: int) -> AbstractContextManager[Bar]:
        """Show nothing."""
        return contextlib.nullcontext(_NoBar())


SILENT = Callback()
