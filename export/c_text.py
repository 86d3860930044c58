"""C text with names in place of numbers: ``@NAME@`` stands for a constant of the layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_PLACE: Final = re.compile(r"@([A-Z_0-9]+)@")


def filled(text: str, values: Mapping[str, object]) -> str:
    """Put a layer's constants into a piece of text.

    Args:
        text: with ``@NAME@`` wherever a constant belongs.
        values: name to constant.
    """
    return _PLACE.sub(lambda found: str(values[found[1]]), text)


def summed(terms: list[str], indent: str, width: int = 100) -> str:
    """Terms joined by plus signs into lines of at most ``width`` characters."""
    lines: list[str] = []
    line = ""
    for number, term in enumerate(terms):
        piece = f"{term} + " if number < len(terms) - 1 else term
        if line and len(indent) + len(line) + len(piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += piece
    lines.append(line)
    return f"\n{indent}".join(lines)
