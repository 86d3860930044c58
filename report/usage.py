"""Code that runs a file in the place that it was written for, as a report keeps and shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnist_export.core.record import Record
from mnist_export.report.markup import Html, code, el, fold, join


@dataclass(frozen=True, kw_only=True)
class Usage(Record):
    """How one file is used there.

    Attributes:
        file: its name.
        title: what runs it, such as ``"LiteRT.js"``.
        language: of the code.
        code: a few lines, whole.
        path: the file that keeps the code with everything that it needs; None where the lines are all.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ()

    file: str
    title: str
    language: str
    code: str
    path: str | None = None


def usage_text(items: tuple[Usage, ...]) -> list[str]:
    """Lines for a terminal; empty where there is none."""
    lines: list[str] = []
    for item in items:
        kept = f" (whole in {item.path})" if item.path else ""
        lines += ["", f"{item.file} for {item.title}{kept}:", "", *(f"  {line}" for line in _lines(item))]
    return lines


def usage_markdown(items: tuple[Usage, ...]) -> list[str]:
    """The same for a Markdown reader."""
    lines: list[str] = []
    for item in items:
        ticks = "```"
        while ticks in item.code:
            ticks += "`"
        lines += ["", f"{item.title}:", "", f"{ticks}{item.language}", *_lines(item), ticks]
    return lines


def usage_html(items: tuple[Usage, ...]) -> list[Html]:
    """The same for the page, each to be unfolded."""
    return [
        fold(
            join([el("code", item.file), f" for {item.title}"]),
            el("p", "Whole in ", el("code", item.path), ".") if item.path else None,
            code(item.code, item.language),
            open_=True,
        )
        for item in items
    ]


def _lines(item: Usage) -> list[str]:
    return item.code.rstrip("\n").split("\n")
