"""What a trial is judged by: figures by name, with their units and the better direction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from mnist_export.core.errors import InputError
from mnist_export.core.registry import unknown_name

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of a trial.

    Attributes:
        name: as objectives and budgets name it.
        title: what it is.
        unit: ``"share"``, ``"bytes"``, ``"us"`` or ``""`` for a count.
        better: which way is better.
    """

    name: str
    title: str
    unit: str
    better: Direction

    def text(self, value: float) -> str:
        """A value with its unit."""
        if self.unit == "share":
            return f"{value:.2%}"
        if self.unit == "bytes":
            return f"{value / 1000:.2f} kB" if value < 1e6 else f"{value / 1e6:.2f} MB"
        if self.unit == "us":
            return f"{value:.1f} us"
        return f"{value:,.0f}"


FIGURES: Final = {
    figure.name: figure
    for figure in (
        Figure(
            name="accuracy", title="top-1 of the file on validation images", unit="share", better="maximize"
        ),
        Figure(
            name="float_accuracy",
            title="top-1 of the Keras model on validation images",
            unit="share",
            better="maximize",
        ),
        Figure(name="agreement", title="share of the original's labels", unit="share", better="maximize"),
        Figure(name="flash", title="size of the .tflite", unit="bytes", better="minimize"),
        Figure(name="weights", title="weights and biases in the file", unit="bytes", better="minimize"),
        Figure(
            name="ram",
            title="a microcontroller's memory: of the plain C where the scheme writes it, else the arena",
            unit="bytes",
            better="minimize",
        ),
        Figure(
            name="arena",
            title="arena of TensorFlow Lite Micro: its own report where it is ready, else computed",
            unit="bytes",
            better="minimize",
        ),
        Figure(
            name="values",
            title="most bytes of values that are needed at once",
            unit="bytes",
            better="minimize",
        ),
        Figure(name="macs", title="multiply-adds of one image", unit="", better="minimize"),
        Figure(name="parameters", title="parameters of the network", unit="", better="minimize"),
        Figure(
            name="latency",
            title="median of one image in LiteRT on the worker's machine",
            unit="us",
            better="minimize",
        ),
        Figure(name="seconds", title="time of the trial", unit="", better="minimize"),
    )
}
_SIZES: Final = {"": 1.0, "b": 1.0, "kb": 1e3, "mb": 1e6, "kib": 1024.0, "mib": 1024.0**2}
_TIMES: Final = {"": 1.0, "us": 1.0, "ms": 1e3, "s": 1e6}
_COUNTS: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_SHARES: Final = {"": 1.0, "%": 0.01}
_UNITS: Final = {"bytes": _SIZES, "us": _TIMES, "": _COUNTS, "share": _SHARES}
_LIMIT: Final = re.compile(r"\s*([a-z_0-9]+)\s*(<=|>=)\s*([0-9.]+(?:e[+-]?[0-9]+)?)\s*([a-z%]*)\s*", re.I)


def figure_named(name: str) -> Figure:
    """The figure of a name.

    Raises:
        InputError: there is none.
    """
    if name not in FIGURES:
        raise unknown_name("figure", name, FIGURES)
    return FIGURES[name]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One condition of a budget.

    Attributes:
        figure: what is limited.
        at_least: whether the value is a floor; else it is a ceiling.
        value: in the figure's base unit.
    """

    figure: Figure
    at_least: bool
    value: float

    def excess(self, found: float) -> float:
        """By how much a value breaks the limit, relative to it; 0 or less where it holds."""
        over = self.value - found if self.at_least else found - self.value
        return over / max(abs(self.value), 1e-12)

    def __str__(self) -> str:
        """As a budget is written."""
        return f"{self.figure.name}{'>=' if self.at_least else '<='}{self.figure.text(self.value)}"


def parse_budget(text: str) -> tuple[Limit, ...]:
    """Read limits such as ``"flash<=16kB,ram<=8kB,accuracy>=98%"``.

    Raises:
        InputError: a condition that is none, an unknown figure or unit.
    """
    limits = []
    for part in (part for part in text.split(",") if part.strip()):
        found = _LIMIT.fullmatch(part)
        if found is None:
            raise InputError(
                f"budget '{part.strip():.60}': expected a figure, <= or >= and a number with its unit, such "
                "as flash<=16kB."
            )
        figure = figure_named(found[1].lower())
        units = _UNITS[figure.unit]
        if found[4].lower() not in units:
            known = ", ".join(unit for unit in units if unit) or "no unit"
            raise InputError(f"budget '{part.strip():.60}': expected a unit of {known}, found '{found[4]}'.")
        try:
            value = float(found[3]) * units[found[4].lower()]
        except ValueError as error:
            raise InputError(
                f"budget '{part.strip():.60}': expected a number, found '{found[3]}'."
            ) from error
        limits.append(Limit(figure=figure, at_least=found[2] == ">=", value=value))
    return tuple(limits)
