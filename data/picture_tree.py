"""Finds the parts, classes and picture files in a folder, and reads nothing outside of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from mnist_export.core.errors import InputError
from mnist_export.data.limits import bad_file
from mnist_export.data.picture_list import PictureList
from mnist_export.data.pictures import SUFFIXES

PARTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
"""The names that folders of each part go by, in any case of letters."""

_PART_OF = {name: part for part, names in PARTS.items() for name in names}
_NOT_DATA = frozenset({"__MACOSX", "__pycache__"})
_MAX_WRAPPERS = 2

_Key = Callable[[str], tuple[int, str]]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a folder holds.

    Attributes:
        parts: part to its pictures, class by class: ``train`` always, ``validation`` and ``test`` where
            there are any.
        class_names: of all parts, by value where all are whole numbers, else by name.
        notes: what was passed over, and which parts lack classes.
    """

    parts: Mapping[str, PictureList]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def find_layout(root: Path) -> Layout:
    """Look through a folder: one subfolder a class, or such folders in those of the parts.

    The whole may lie up to two folders deeper, where each holds nothing else. A class may lack pictures in
    a part as long as it has some in another.

    Raises:
        InputError: no folder, one part twice, no training part, fewer than two classes, an empty class, a
            folder inside a class, an unprintable name, or a link that leads outside.
    """
    tree = _Tree(root)
    base, top = root, tree.folders(root)
    for _ in range(_MAX_WRAPPERS):
        inner = tree.folders(top[0]) if len(top) == 1 else []
        if not inner:
            break
        base, top = top[0], inner
    if not top:
        raise bad_file(
            root,
            "the four IDX files or a folder of images for each class",
            "no folder" if tree.files(root) else "an empty folder",
            "Name a folder such as ROOT with ROOT/cat/1.png and ROOT/dog/1.png.",
        )
    folders = {"train": base}
    if all(folder.name.lower() in _PART_OF for folder in top):
        folders = _parts(base, top)
    found = {part: tree.class_folders(folder) for part, folder in folders.items()}
    names = {name for classes in found.values() for name in classes}
    if len(names) < 2:
        raise bad_file(folders["train"], "folders of 2 classes or more", f"{len(names)}", "Add a class.")
    ordered = sorted(names, key=_class_order(names))
    parts = {part: PictureList() for part in found}
    lacking: dict[str, list[str]] = {part: [] for part in found}
    for number, name in enumerate(ordered):
        holders = [(part, classes[name]) for part, classes in found.items() if name in classes]
        counts = [tree.add_pictures(folder, number, parts[part]) for part, folder in holders]
        if not any(counts):
            raise tree.no_pictures(holders[0][1])
        with_some = {part for (part, _), count in zip(holders, counts, strict=True) if count}
        for part in found.keys() - with_some:
            lacking[part].append(name)
    return Layout(parts=parts, class_names=tuple(ordered), notes=_notes(tree.passed_over, lacking))


def _notes(passed_over: int, lacking: Mapping[str, list[str]]) -> tuple[str, ...]:
    notes = []
    if passed_over:
        notes.append(f"{passed_over} files that are not pictures by their names were passed over.")
    for part, names in lacking.items():
        if names:
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            notes.append(f"The {part} part has no pictures of {', '.join(names[:10])}{more}.")
    return tuple(notes)


def _parts(base: Path, top: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in top:
        part = _PART_OF[folder.name.lower()]
        if part in found:
            raise bad_file(
                base, f"one folder for {part}", f"{found[part].name} and {folder.name}", "Remove one of them."
            )
        found[part] = folder
    if "train" not in found:
        raise bad_file(
            base,
            f"a folder {' or '.join(PARTS['train'])} beside the others",
            ", ".join(folder.name for folder in top),
            "Calibration needs training pictures: add them.",
        )
    return {part: found[part] for part in PARTS if part in found}


class _Tree:
    """Lists folders and files below a root, in a fixed order, and nothing outside of it."""

    def __init__(self, root: Path) -> None:
        self._real_root = root.resolve()
        self.passed_over = 0

    def _entries(self, folder: Path) -> list[tuple[str, bool]]:
        """Name of each entry that is not hidden, sorted, and whether it is a folder."""
        found: list[tuple[str, bool]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name in _NOT_DATA:
                        continue
                    if entry.is_symlink() and not self._is_inside(Path(entry.path)):
                        raise bad_file(
                            entry.path,
                            "files inside the folder",
                            "a link that leads out of it or nowhere",
                            "Copy the file.",
                        )
                    found.append((entry.name, entry.is_dir()))
        except OSError as error:
            raise bad_file(folder, "a readable folder", error.strerror or str(error), "Check it.") from error
        return sorted(found)

    def _is_inside(self, entry: Path) -> bool:
        try:
            return entry.resolve(strict=True).is_relative_to(self._real_root)
        except (OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
            return False

    def folders(self, folder: Path) -> list[Path]:
        """Subfolders, hidden ones left out."""
        return [folder / name for name, is_folder in self._entries(folder) if is_folder]

    def files(self, folder: Path) -> list[Path]:
        """Everything else, hidden ones left out."""
        return [folder / name for name, is_folder in self._entries(folder) if not is_folder]

    def class_folders(self, folder: Path) -> dict[str, Path]:
        """Class name to its folder.

        Raises:
            InputError: an unprintable name.
        """
        found = {entry.name: entry for entry in self.folders(folder)}
        for name, entry in found.items():
            if not name.isprintable():
                raise bad_file(entry, "a printable class name", "control characters", "Rename it.")
        return found

    def add_pictures(self, folder: Path, number: int, into: PictureList) -> int:
        """Append a class's pictures to a part, and count them.

        Raises:
            InputError: a folder among them.
        """
        before = len(into)
        for name, is_folder in self._entries(folder):
            if is_folder:
                raise bad_file(
                    folder / name, "pictures in a class's folder", "a further folder", "Move it out."
                )
            if PurePath(name).suffix.lower() in SUFFIXES:
                into.add(f"{folder}/{name}", number)
            else:
                self.passed_over += 1
        return len(into) - before

    def no_pictures(self, class_folder: Path) -> InputError:
        """Build the error for a class without any picture."""
        others = sorted({file.suffix or file.name for file in self.files(class_folder)})
        return bad_file(
            class_folder,
            f"pictures ({', '.join(sorted(SUFFIXES))})",
            f"only {', '.join(others[:5])}" if others else "an empty folder",
            "Add pictures, or remove the folder.",
        )


def _class_order(names: Iterable[str]) -> _Key:
    if all(name.isascii() and name.isdigit() for name in names):
        return lambda name: (int(name[:18]), name)
    return lambda name: (0, name)
