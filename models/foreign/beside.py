"""What a user gives beside a model file: trust, the code of its layers, its architecture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mnist_export.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What a user gives beside a model file.

    Attributes:
        trust: whether code that comes with the model may run.
        custom: a Python file that defines the model's own layers and functions.
        architecture: of a file of weights: a JSON file, or an architecture's name.
    """

    trust: bool = False
    custom: Path | None = None
    architecture: str | None = None

    def __post_init__(self) -> None:
        """Refuse code without trust."""
        if self.custom is not None and not self.trust:
            raise InputError(
                f'`custom="{self.custom}"`: expected `trust=True` beside it, because it runs the code '
                "in that file; found none. Read the file, then add it."
            )

    def words(self) -> list[str]:
        """The options that say so on a command line, trust apart."""
        custom = ["--custom", str(self.custom)] if self.custom is not None else []
        return custom + (["--architecture", self.architecture] if self.architecture is not None else [])


NOTHING: Final = Beside()
