"""Tables as plain text."""

from __future__ import annotations

from collections.abc import Sequence


def align(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Lay out a table in columns: the first to the left, the others to the right."""
    lines = [header, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(header), rule, *(line(cells) for cells in body)])
