"""A device that is a package of PyPI: an environment of its own, and a child process in it that answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.runtime.devices.asking import ask, ask_tensors
from mnist_export.runtime.devices.device import Answer, Question
from mnist_export.runtime.devices.environment import Environment


@dataclass(frozen=True, kw_only=True)
class PipDevice:
    """A runtime from PyPI.

    Attributes:
        name: what the command line calls it.
        title: what it is.
        needs: what its preparation fetches.
        formats: what it reads.
        requirements: every package with its version, the runtime's dependencies included.
        module: imported once when the environment is made, to see that it works.
        shares: the device whose environment this is; its own where empty.
        opening: opens a file in the child; self-contained, as `serving` describes, for its source is sent.
        opening_tensors: likewise for `tensors`; None where the runtime does not show them.
    """

    name: str
    title: str
    needs: str
    formats: tuple[str, ...]
    requirements: tuple[str, ...]
    module: str
    opening: Callable[..., Any]
    shares: str = ""
    opening_tensors: Callable[..., Any] | None = None

    @property
    def environment(self) -> Environment:
        """Where the packages are."""
        return Environment(name=self.shares or self.name, requirements=self.requirements, module=self.module)

    def why_not_ready(self) -> str:
        """Say why it cannot answer now; empty where it can."""
        return self.environment.problem()

    def prepare(self, notify: Callable[[str], None], *, quiet: bool = False) -> None:
        """Make the environment; see `Environment.prepare`."""
        self.environment.prepare(notify, quiet=quiet)

    def answer(self, question: Question) -> Answer:
        """Run the file over the batch in a child process of the environment.

        Raises:
            UnsupportedError: the device does not read such files.
            MnistExportError: see `asking.ask`.
        """
        if question.format not in self.formats:
            raise UnsupportedError(
                f"{question.label}: {self.name} reads {' and '.join(self.formats)}, not {question.format}."
            )
        return ask(self.name, [str(self.environment.python)], self.opening, question)

    def tensors(self, question: Question, indices: Sequence[int]) -> list[npt.NDArray[Any]]:
        """What tensors of a .tflite hold, by their places in the file; see `asking.ask_tensors`.

        Raises:
            UnsupportedError: the runtime does not show them.
        """
        if self.opening_tensors is None:
            raise UnsupportedError(f"{self.name}: does not show the tensors inside of a file.")
        command = [str(self.environment.python)]
        return ask_tensors(self.name, command, self.opening_tensors, question, indices)
