"""What a loader is asked for, and what a loader is."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mnist_export.core.errors import InputError
from mnist_export.data.dataset import Dataset
from mnist_export.data.picture_options import PictureOptions

Notify = Callable[[str], None]


class UnavailableError(InputError):
    """A named data set is neither on this machine nor to be had from the network now."""


def to_stderr(message: str) -> None:
    """Write one line to stderr: where messages go when nobody asks for them."""
    sys.stderr.write(message + "\n")


@dataclass(frozen=True, kw_only=True)
class Request:
    """How a data set is asked for.

    Attributes:
        download: whether the network may be used.
        seed: chooses the validation part (and the test part of data that has none); 0 or more.
        notify: called with one sentence for whatever the user should know.
        pictures: what pictures in files become.
        trust: whether a user's code may run, and files outside of a list's folder may be read.
        head: what y may be, see `targets.are_targets`: only ``classes`` where nothing else can be judged.
    """

    download: bool = True
    seed: int = 0
    notify: Notify = to_stderr
    pictures: PictureOptions = field(default_factory=PictureOptions)
    trust: bool = False
    head: str = "classes"

    def __post_init__(self) -> None:
        """Refuse a negative seed."""
        if self.seed < 0:
            raise InputError(f"seed: expected 0 or more, found {self.seed}. Choose another seed.")


class NamedLoader(Protocol):
    """Loads one data set that has a name."""

    def __call__(self, request: Request) -> Dataset:
        """Load it, or raise `InputError`."""
        ...


class PathReader(Protocol):
    """Reads a user's own data of one kind."""

    def accepts(self, path: Path) -> bool:
        """Say whether an existing path looks like this kind; cheap, and never raises."""
        ...

    def __call__(self, path: Path, request: Request) -> Dataset:
        """Load it, or raise `InputError`."""
        ...
