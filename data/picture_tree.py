"""Finds the parts, classes and picture files in a folder, and reads nothing outside of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mnist_export.core.errors import InputError
from mnist_export.data.limits import bad_file
from mnist_export.data.pictures import SUFFIXES

Classes = dict[str, list[Path]]
"""Class name to its picture files."""

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
        parts: part to its classes: ``train`` always, ``validation`` and ``test`` where there are any.
        class_names: of all parts, by value where all are whole numbers, else by name.
        passed_over: files that are no pictures by their names.
    """

    parts: Mapping[str, Classes]
    class_names: tuple[str, ...]
    passed_over: int


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
    parts = {part: tree.classes(folder) for part, folder in folders.items()}
    names = sorted({name for classes in parts.values() for name in classes})
    if len(names) < 2:
        raise bad_file(folders["train"], "folders of 2 classes or more", f"{len(names)}", "Add a class.")
    for name in names:
        holders = [part for part, classes in parts.items() if name in classes]
        if not any(parts[part][name] for part in holders):
            raise tree.no_pictures(folders[holders[0]] / name)
    return Layout(
        parts=parts, class_names=tuple(sorted(names, key=_class_order(names))), passed_over=tree.passed_over
    )


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

    def _entries(self, folder: Path) -> list[Path]:
        try:
            with os.scandir(folder) as found:
                names = sorted(
                    entry.name
                    for entry in found
                    if not entry.name.startswith(".") and entry.name not in _NOT_DATA
                )
        except OSError as error:
            raise bad_file(folder, "a readable folder", error.strerror or str(error), "Check it.") from error
        entries = [folder / name for name in names]
        for entry in entries:
            if entry.is_symlink() and not self._is_inside(entry):
                raise bad_file(
                    entry,
                    "files inside the folder",
                    "a link that leads out of it or nowhere",
                    "Copy the file.",
                )
        return entries

    def _is_inside(self, entry: Path) -> bool:
        try:
            return entry.resolve(strict=True).is_relative_to(self._real_root)
        except (OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
            return False

    def folders(self, folder: Path) -> list[Path]:
        """Subfolders, hidden ones left out."""
        return [entry for entry in self._entries(folder) if entry.is_dir()]

    def files(self, folder: Path) -> list[Path]:
        """Everything else, hidden ones left out."""
        return [entry for entry in self._entries(folder) if not entry.is_dir()]

    def classes(self, folder: Path) -> Classes:
        """Class name to its picture files, maybe none.

        Raises:
            InputError: a folder inside a class's, or an unprintable name.
        """
        found: Classes = {}
        for class_folder in self.folders(folder):
            if not class_folder.name.isprintable():
                raise bad_file(class_folder, "a printable class name", "control characters", "Rename it.")
            if inner := self.folders(class_folder):
                raise bad_file(inner[0], "pictures in a class's folder", "a further folder", "Move it out.")
            files = self.files(class_folder)
            pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
            self.passed_over += len(files) - len(pictures)
            found[class_folder.name] = pictures
        return found

    def no_pictures(self, class_folder: Path) -> InputError:
        """Build the error for a class without any picture."""
        others = sorted({file.suffix or file.name for file in self.files(class_folder)})
        return bad_file(
            class_folder,
            f"pictures ({', '.join(sorted(SUFFIXES))})",
            f"only {', '.join(others[:5])}" if others else "an empty folder",
            "Add pictures, or remove the folder.",
        )


def _class_order(names: list[str]) -> _Key:
    if all(name.isascii() and name.isdigit() for name in names):
        return lambda name: (int(name[:18]), name)
    return lambda name: (0, name)
