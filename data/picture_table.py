"""Rows of path, label and part from a CSV or a JSON lines file, one at a time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from mnist_export.core.errors import InputError
from mnist_export.data.limits import bad_file, regular_file_size
from mnist_export.data.picture_tree import PARTS

CSV_SUFFIXES = frozenset({".csv", ".tsv"})
JSON_SUFFIXES = frozenset({".jsonl", ".ndjson"})

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "path": (
        "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img",
        "img_path",
    ),
    "label": ("label", "labels", "class", "class_name", "category", "target"),
    "split": ("split", "set", "subset", "part", "partition", "fold"),
}  # fmt: skip
"""The names that columns of each meaning go by, in any case of letters; ``split`` may be missing."""

MAX_LINE_BYTES = 1 << 20
_PART_OF = {name: part for part, names in PARTS.items() for name in names} | {"dev": "validation"}
_DELIMITERS = ",;\t"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One picture.

    Attributes:
        line: its line in the file, counted from 1.
        path: as the file has it.
        label: text, or a number of a JSON lines file.
        part: ``train``, ``validation``, ``test``, or None where the file has no such column.
    """

    line: int
    path: str
    label: str | int
    part: str | None


def is_table(path: Path) -> bool:
    """Say whether a file's name is one of these."""
    return path.suffix.lower() in CSV_SUFFIXES | JSON_SUFFIXES


def has_pictures(path: Path) -> bool:
    """Say whether data at a path may be pictures in files: a folder of them, or a list."""
    return path.is_dir() or is_table(path)


def rows_of(path: Path) -> Iterator[Row]:
    """Read a CSV (with a first line of column names) or JSON lines file.

    A CSV's fields are parted by commas, semicolons or tabs, whichever its first line has.

    Raises:
        InputError: no such columns, a row without path or label, an unknown part, or unreadable text.
    """
    regular_file_size(path)
    read = _json_rows if path.suffix.lower() in JSON_SUFFIXES else _csv_rows
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for row in read(path, stream):
                line = row.line
                yield row
    except UnicodeDecodeError as error:
        raise bad_file(path, "text in UTF-8", f"other bytes near line {line}", "Save it as UTF-8.") from error
    except OSError as error:
        raise bad_file(path, "a readable file", error.strerror or str(error), "Check it.") from error


def _csv_rows(path: Path, stream: IO[str]) -> Iterator[Row]:
    first = stream.readline(MAX_LINE_BYTES)
    delimiter = max(_DELIMITERS, key=first.count)
    names = next(csv.reader([first], delimiter=delimiter), [])
    places = _places(path, names)
    reader = csv.reader(_bounded(path, stream), delimiter=delimiter)
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise bad_file(
                path, "CSV", f"line {reader.line_num + 1}: {error}", "Correct the line."
            ) from error
        if fields is None:
            return
        if not any(fields):
            continue
        line = reader.line_num + 1
        if len(fields) <= max(places.values()):
            raise bad_file(
                path,
                f"{len(names)} fields in line {line}",
                f"{len(fields)}",
                "Correct the line, or quote it.",
            )
        yield _row(path, line, {meaning: fields[place].strip() for meaning, place in places.items()})


def _json_rows(path: Path, stream: IO[str]) -> Iterator[Row]:
    names: dict[str, str] = {}
    for line, text in enumerate(_bounded(path, stream), 1):
        if not text.strip():
            continue
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise bad_file(path, f"JSON in line {line}", str(error), "Write one object a line.") from error
        if not isinstance(found, dict):
            kind = type(found).__name__
            raise bad_file(path, f"a JSON object in line {line}", kind, 'Write {"path": ..., "label": ...}.')
        if not names:
            keys = list(found)
            names = {meaning: keys[place] for meaning, place in _places(path, keys).items()}
        yield _row(path, line, {meaning: found.get(name) for meaning, name in names.items()})


def _bounded(path: Path, stream: IO[str]) -> Iterator[str]:
    """Lines, none so long that it fills memory."""
    while text := stream.readline(MAX_LINE_BYTES):
        if len(text) >= MAX_LINE_BYTES:
            raise bad_file(
                path, f"lines of less than {MAX_LINE_BYTES:,} characters", "a longer one", "Split it."
            )
        yield text


def _places(path: Path, names: Sequence[str]) -> dict[str, int]:
    """Where the columns are: meaning to position."""
    lower = [name.strip().lower() for name in names]
    places = {}
    for meaning, known in COLUMNS.items():
        here = [place for place, name in enumerate(lower) if name in known]
        if len(here) > 1:
            found = " and ".join(names[place] for place in here)
            raise bad_file(
                path, f"one column for the {meaning}", found[:200], "Rename or remove one of them."
            )
        if here:
            places[meaning] = here[0]
        elif meaning != "split":
            raise bad_file(
                path,
                f"a column for the {meaning}, by a name of {', '.join(known)}",
                f"columns {', '.join(names)[:200] or 'none'}",
                "Name the columns in the first line, such as path,label,split.",
            )
    return places


def _row(path: Path, line: int, found: Mapping[str, Any]) -> Row:
    where, label, part = found["path"], found["label"], found.get("split")
    if not isinstance(where, str) or not where or "\0" in where:
        raise bad_file(path, f"a picture's path in line {line}", repr(where)[:100], "Correct the line.")
    if isinstance(label, bool) or not isinstance(label, str | int) or label == "":
        raise bad_file(path, f"a class in line {line}", repr(label)[:100], "Give a name or a number.")
    if "split" not in found:
        return Row(line=line, path=where, label=label, part=None)
    known = _PART_OF.get(part.strip().lower()) if isinstance(part, str) else None
    if known is None:
        raise bad_file(
            path, f"train, validation or test in line {line}", repr(part)[:100], "Correct the line."
        )
    return Row(line=line, path=where, label=label, part=known)


def too_many(path: Path, most: int) -> InputError:
    """Build the error for a file of very many rows."""
    return bad_file(path, f"at most {most:,} pictures", "more", "Split the file.")
