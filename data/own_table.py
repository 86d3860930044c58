"""A user's own list of pictures: a CSV or JSON lines file of path and label."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mnist_export.data.dataset import Dataset
from mnist_export.data.limits import bad_file, shown
from mnist_export.data.own import own_dataset
from mnist_export.data.picture_list import PictureList
from mnist_export.data.picture_parts import read_parts
from mnist_export.data.picture_table import Row, is_table, rows_of, too_many
from mnist_export.data.picture_tree import PARTS
from mnist_export.data.request import Request

MAX_ROWS = 10_000_000
MAX_CLASSES = 10_000
_LABEL_LENGTH = 200


class PictureTableReader:
    """Reads the pictures that a file names, relative to its own folder.

    Nothing outside that folder is read, whatever paths and links it holds, unless the user trusts it.
    Labels that are whole numbers from 0 are class numbers; other whole numbers are classes in the order
    of their values, names in that of the alphabet.
    """

    def accepts(self, path: Path) -> bool:
        """Say whether it is a file of such a name."""
        return path.is_file() and is_table(path)

    def __call__(self, path: Path, request: Request) -> Dataset:
        """Load it, or raise `InputError`."""
        places = _Places(path, trust=request.trust)
        listed: dict[str, PictureList] = {}
        numbers: dict[str | int, int] = {}
        for count, row in enumerate(rows_of(path)):
            if count >= MAX_ROWS:
                raise too_many(path, MAX_ROWS)
            number = numbers.setdefault(row.label, len(numbers))
            if len(numbers) > MAX_CLASSES:
                raise bad_file(path, f"at most {MAX_CLASSES:,} classes", "more", "Check the label column.")
            listed.setdefault(row.part or "train", PictureList()).add(places.find(row), number)
        if "train" not in listed:
            found = ", ".join(listed) or "none"
            raise bad_file(
                path, "pictures for train", found, "Calibration needs training pictures: add them."
            )
        names, order = _classes(path, numbers)
        for pictures in listed.values():
            pictures.renumber(order)
        ordered = {part: listed[part] for part in PARTS if part in listed}
        made = read_parts(path, ordered, request.pictures)
        notes = (*_lacking(ordered, names), *made.notes)
        for note in notes:
            request.notify(f"{shown(path)}: {shown(note)}")
        return own_dataset(
            path=path,
            source="picture list",
            train=made.splits["train"],
            validation=made.splits.get("validation"),
            test=made.splits.get("test"),
            request=request,
            class_names=names,
            sha256=made.sha256,
            notes=notes,
            every_class=False,
        )


class _Places:
    """Turns paths of a list into files, and lets none lead out of its folder."""

    def __init__(self, path: Path, *, trust: bool) -> None:
        self._path, self._trust = path, trust
        self._base = os.fspath(path.parent)
        self._root = os.path.realpath(path.parent)
        self._inside: dict[str, bool] = {}

    def find(self, row: Row) -> str:
        """The file of a row.

        Raises:
            InputError: it is missing, no regular file, or outside of the list's folder.
        """
        full = os.path.join(self._base, row.path)  # noqa: PTH118 - a million of them
        try:
            found = os.lstat(full)
            is_link = stat.S_ISLNK(found.st_mode)
            if is_link:
                found = os.stat(full)  # noqa: PTH116
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            reason = "no such file" if missing else str(getattr(error, "strerror", error))
            raise self._bad(row, "a picture", reason, "Paths are relative to the list.") from error
        if not self._trust and not self._is_inside(full, is_link=is_link):
            raise self._bad(
                row,
                "pictures inside the list's folder",
                "a path that leads out of it",
                "Copy the pictures there, or add `trust=True` to read files anywhere.",
            )
        if not stat.S_ISREG(found.st_mode):
            raise self._bad(row, "a picture", "a folder, device or pipe", "Correct the line.")
        return full

    def _is_inside(self, full: str, *, is_link: bool) -> bool:
        if is_link:
            return self._under_root(os.path.realpath(full))
        folder, name = os.path.split(full)
        if name == "..":
            return self._under_root(os.path.realpath(full))
        if folder not in self._inside:
            if len(self._inside) > MAX_CLASSES:
                self._inside.clear()
            self._inside[folder] = self._under_root(os.path.realpath(folder))
        return self._inside[folder]

    def _under_root(self, real: str) -> bool:
        return real == self._root or real.startswith(self._root.rstrip(os.sep) + os.sep)

    def _bad(self, row: Row, expected: str, found: str, advice: str) -> Exception:
        return bad_file(f"{self._path} line {row.line}", expected, f"{found}: {row.path[:200]}", advice)


def _classes(path: Path, numbers: dict[str | int, int]) -> tuple[tuple[str, ...], dict[int, int]]:
    """Names in order, and what number each class gets that was met as some other."""
    labels = {str(label): label for label in numbers}
    if len(labels) != len(numbers):
        raise bad_file(path, "labels of one kind", "the same number as text and as number", "Use one.")
    if bad := [text for text in labels if not text.isprintable() or len(text) > _LABEL_LENGTH]:
        raise bad_file(path, "printable class names", repr(bad[0])[:100], "Rename the class.")
    if len(labels) < 2:
        raise bad_file(path, "2 classes or more", f"{len(labels)}", "Add a class.")
    if all(text.isascii() and text.isdigit() and len(text) < 10 for text in labels):
        values = sorted(labels, key=lambda text: (int(text), text))
        if int(values[0]) == 0 and (missing := [v for v in range(int(values[-1])) if str(v) not in labels]):
            raise bad_file(
                path,
                f"pictures of every class 0..{values[-1]}",
                f"none of class {missing[0]}",
                "Number the classes from 0 without gaps, or name them.",
            )
    else:
        values = sorted(labels)
    return tuple(values), {numbers[labels[text]]: place for place, text in enumerate(values)}


def _lacking(listed: dict[str, PictureList], names: tuple[str, ...]) -> list[str]:
    notes = []
    for part, pictures in listed.items():
        present = set(pictures.labels.tolist())
        if absent := [name for number, name in enumerate(names) if number not in present]:
            more = f" and {len(absent) - 10} more" if len(absent) > 10 else ""
            notes.append(f"The {part} part has no pictures of {', '.join(absent[:10])}{more}.")
    return notes


READER = PictureTableReader()
