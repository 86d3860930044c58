"""An option of an export as data: what the command line and the Python interface need to know of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Topic = Literal["quantization", "training", "search"]


@dataclass(frozen=True, kw_only=True)
class Option:
    """One option of one way to quantize.

    Attributes:
        name: the keyword in Python, such as ``"tune_epochs"``.
        help: what it does, in one sentence without a full stop; parameters as `core.parameters` names them.
        topic: the part of the command's help that it stands in.
        kind: type of its value; ``bool`` for an option that is given or not.
        default: where it is not given.
        metavar: what the help calls its value.
        bare: value of an option that is given without one; None where it needs a value.
        many: whether it takes several values.
        first: whether the first screen of the help shows it.
        known: values to complete.
    """

    name: str
    help: str
    topic: Topic = "quantization"
    kind: type = bool
    default: Any = None
    metavar: str | None = None
    bare: Any = None
    many: bool = False
    first: bool = False
    known: tuple[str, ...] = ()

    @property
    def unset(self) -> Any:
        """Its value where it is not given."""
        return False if self.kind is bool and self.default is None else self.default
