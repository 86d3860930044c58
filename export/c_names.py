"""Names that are safe in C: a model's own name never reaches the generated code as it is."""

from __future__ import annotations

from typing import Final

MAX_LENGTH: Final = 48
_WORDS: Final = """
    auto break case char const continue default do double else enum extern float for goto if inline int
    long register restrict return short signed sizeof static struct switch typedef union unsigned void
    volatile while bool class namespace template this new delete try catch throw public private main
"""
_KEYWORDS: Final = frozenset(_WORDS.split())


def identifier(name: str) -> str:
    """A lower-case C identifier for any text: ASCII letters, digits and single underscores.

    Args:
        name: any text.

    Returns:
        At most 48 characters that begin with a letter and are no keyword of C or C++; ``"model"`` where
        nothing is left.
    """
    kept = "".join(c.lower() if c.isascii() and c.isalnum() else "_" for c in name)
    joined = "_".join(part for part in kept.split("_") if part)[:MAX_LENGTH].strip("_")
    if not joined:
        return "model"
    if joined[0].isdigit() or joined in _KEYWORDS:
        joined = f"model_{joined}"
    return joined[:MAX_LENGTH].strip("_")


def rows(values: list[str], width: int = 100, indent: str = "    ") -> str:
    """Join literals with commas into lines of at most ``width`` characters."""
    lines: list[str] = []
    line = indent
    for value in values:
        piece = f"{value},"
        if len(line) + len(piece) > width:
            lines.append(line.rstrip())
            line = indent
        line += piece + " "
    lines.append(line.rstrip())
    return "\n".join(lines)
