"""Figures in prose, looked up in the recorded results that they come from.

A comment before a paragraph, list or table names a file of ``benchmarks/results`` and, line by line, where
each figure of the block that follows is found there::

    <!-- figures: peers.json
    models[model={lenet5,custom2}].rows[tool=original][batch=1].{top1,size_bytes}
    -->

``[key=value]`` chooses from a list, ``{a,b}`` stands for several paths. Every number of the block must be
named, in the order of the text; ``99.37 %`` is a share of 1 in the file, and a number is compared with as
many decimals as it shows.
"""

from __future__ import annotations

import itertools
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_MARK = re.compile(r"<!-- figures: (\S+\.json)\n(.*?)\n-->\n(.+?)(?=\n\s*\n|\Z)", re.S)
_NUMBER = re.compile(r"(?<![\w.,-])(\d[\d,]*(?:\.\d+)?)( %)?(?![\w-])")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]=]+)=([^\]]*)\]|\[(\d+)\]")
_SPELLED = re.compile(r"`[^`]*`|\]\([^)]*\)")


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A figure that is not what was recorded.

    Attributes:
        page: the file's path.
        line: of the block.
        why: what is wrong.
    """

    page: Path
    line: int
    why: str


def spread(path: str) -> Iterator[str]:
    """A path for each choice of its braces, the last brace fastest."""
    parts = re.split(r"\{([^}]*)\}", path)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    for chosen in itertools.product(*choices):
        yield "".join(chosen)


def look_up(content: Any, path: str) -> Any:
    """The value at a path.

    Raises:
        LookupError: there is none, or more than one.
    """
    found = content
    position = 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            raise LookupError(f"{path}: cannot be read from '{path[position:]}' on")
        position = step.end()
        name, key, value, place = step.groups()
        if key is not None:
            rows = [row for row in found if str(row.get(key)) == value]
            if not rows:
                raise LookupError(f"{path}: nothing with {key}={value}")
            found = rows if len(rows) > 1 else rows[0]
        elif place is not None:
            found = found[int(place)]
        elif isinstance(found, dict) and name in found:
            found = found[name]
        else:
            raise LookupError(f"{path}: no '{name}'")
    if isinstance(found, dict | list):
        raise LookupError(f"{path}: not one value")
    return found


def numbers(text: str) -> list[tuple[str, bool]]:
    """The numbers of a block and whether each is a percentage; code, links and names are left out."""
    return [(n, bool(p)) for n, p in _NUMBER.findall(_SPELLED.sub("", text))]


def agrees(shown: str, percent: bool, value: Any) -> bool:
    """Whether a number is the value, rounded to the decimals that it shows."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    plain = shown.replace(",", "")
    decimals = len(plain.partition(".")[2])
    # half a unit of the last decimal, and what binary fractions lose
    return abs(float(plain) - value * (100 if percent else 1)) <= 0.5 * 10.0**-decimals * (1 + 1e-6)


def wrong_figures(page: Path, results: Path = RESULTS) -> list[Wrong]:
    """The marked figures of a page that are not what its results say.

    Args:
        page: a Markdown file.
        results: the folder of the recorded results.
    """
    text = page.read_text(encoding="utf-8")
    found = []
    for mark in _MARK.finditer(text):
        line = text.count("\n", 0, mark.start(3)) + 1
        try:
            content = json.loads((results / mark[1]).read_text(encoding="utf-8"))
            values = [look_up(content, path) for row in mark[2].splitlines() for path in spread(row.strip())]
        except (LookupError, OSError) as error:
            found.append(Wrong(page=page, line=line, why=str(error)))
            continue
        shown = numbers(mark[3])
        if len(shown) != len(values):
            why = (
                f"{len(shown)} figures, {len(values)} looked up: {[number for number, _ in shown]}, {values}"
            )
            found.append(Wrong(page=page, line=line, why=why))
            continue
        found += [
            Wrong(page=page, line=line, why=f"{number}{' %' * percent}: {mark[1]} has {value}")
            for (number, percent), value in zip(shown, values, strict=True)
            if not agrees(number, percent, value)
        ]
    return found


def unmarked_percentages(page: Path) -> list[str]:
    """Percentages with decimals that stand in no marked block: figures that nothing holds."""
    text = re.sub(r"```.*?```", "", _MARK.sub("", page.read_text(encoding="utf-8")), flags=re.S)
    return [number for number, percent in numbers(text) if percent and "." in number]


if __name__ == "__main__":
    pages = [Path(name) for name in sys.argv[1:]] or [
        ROOT / "README.md",
        *sorted((ROOT / "docs").rglob("*.md")),
    ]
    every = [wrong for page in pages for wrong in wrong_figures(page)]
    sys.stdout.write("".join(f"{wrong.page}:{wrong.line}: {wrong.why}\n" for wrong in every))
    sys.exit(1 if every else 0)
