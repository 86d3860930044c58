"""One entry of a search space: a fixed value, a list to choose from, or a range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from mnist_export.core.errors import InputError

Scalar = str | int | float | bool


class Suggests(Protocol):
    """What Optuna's trials have in common."""

    def suggest_categorical(self, name: str, choices: list[Any]) -> Any:
        """One of the choices."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """A whole number."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """A number."""


@dataclass(frozen=True, kw_only=True)
class Values:
    """What one setting may be.

    Attributes:
        name: of the setting, such as ``"network.width"``.
        choices: the values to choose from; one alone is fixed. Empty for a range.
        low: least value of a range.
        high: largest value of a range.
        step: distance of a range's values; None for all of them.
        log: whether a range is searched by orders of magnitude.
    """

    name: str
    choices: tuple[Scalar, ...] = ()
    low: int | float = 0
    high: int | float = 0
    step: int | float | None = None
    log: bool = False

    @classmethod
    def parse(cls, name: str, value: Any) -> Values:
        """Read an entry as TOML has it.

        Args:
            name: of the setting.
            value: a scalar, a list of scalars, or ``{low, high, step, log}``.

        Raises:
            InputError: anything else, or a range that is none.
        """
        if isinstance(value, Scalar):
            return cls(name=name, choices=(value,))
        if isinstance(value, list) and 1 <= len(value) <= 1000 and all(isinstance(v, Scalar) for v in value):
            return cls(name=name, choices=tuple(value))
        if isinstance(value, Mapping):
            return cls._range(name, dict(value))
        raise InputError(
            f"search space, {name}: expected a value, a list of values or {{low = .., high = ..}}, found "
            f"{value!r:.60}."
        )

    @classmethod
    def _range(cls, name: str, table: dict[str, Any]) -> Values:
        unknown = set(table) - {"low", "high", "step", "log"}
        numbers = [table.get("low"), table.get("high"), table.get("step", 1)]
        plain = all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers)
        if unknown or not plain or not all(math.isfinite(float(n or 0)) for n in numbers):
            raise InputError(
                f"search space, {name}: expected numbers low and high, and step or log = true if wanted, "
                f"found {table!r:.80}."
            )
        low, high, step, log = table["low"], table["high"], table.get("step"), bool(table.get("log", False))
        if low > high or (log and low <= 0) or (log and step is not None) or (step is not None and step <= 0):
            raise InputError(
                f"search space, {name}: expected low <= high, a step above 0, and low above 0 and no step "
                f"with log = true, found {table!r:.80}."
            )
        return cls(name=name, low=low, high=high, step=step, log=log)

    @property
    def is_whole(self) -> bool:
        """Whether a range holds whole numbers only."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to choose."""
        return len(self.choices) == 1

    def suggest(self, trial: Suggests) -> Any:
        """Let an Optuna trial choose."""
        if self.is_fixed:
            return self.choices[0]
        if self.choices:
            return trial.suggest_categorical(self.name, list(self.choices))
        if self.is_whole:
            return trial.suggest_int(
                self.name, int(self.low), int(self.high), step=int(self.step or 1), log=self.log
            )
        return trial.suggest_float(self.name, self.low, self.high, step=self.step, log=self.log)
