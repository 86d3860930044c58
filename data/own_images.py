"""A user's own folder of pictures: one subfolder a class, or ``train`` and ``test`` with such subfolders."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_export.data.dataset import Dataset, Split
from mnist_export.data.limits import MAX_ARRAY_BYTES, bad_file, shown
from mnist_export.data.own import own_dataset, own_split
from mnist_export.data.pictures import SUFFIXES, picture_size, read_picture
from mnist_export.data.request import Request

_PARTS = ("train", "test")

_Key = Callable[[str], tuple[int, str]]


class ImageFolderReader:
    """Reads pictures of one size, as grey uint8 images of shape (n, height, width, 1).

    Classes are numbered in the order of their folders' names, by value where all are whole numbers.
    Nothing outside the folder is read, whatever links it holds.
    """

    def accepts(self, path: Path) -> bool:
        """Say whether it is a folder."""
        return path.is_dir()

    def __call__(self, path: Path, request: Request) -> Dataset:
        """Load it, or raise `InputError`."""
        tree = _Tree(path)
        top = tree.folders(path)
        if not top:
            raise bad_file(
                path,
                "the four IDX files or a folder of images for each class",
                "no folder" if tree.files(path) else "an empty folder",
                "Name a folder such as ROOT with ROOT/cat/1.png and ROOT/dog/1.png.",
            )
        has_parts = {folder.name for folder in top} == set(_PARTS)
        train_files = tree.classes(path / "train" if has_parts else path)
        names = sorted(train_files, key=_class_order(train_files))
        test_files = tree.classes(path / "test") if has_parts else None
        if test_files is not None and (extra := sorted(set(test_files) - set(names))):
            raise bad_file(
                path / "test", f"the classes of train ({', '.join(names)})", extra[0], "Rename or remove it."
            )
        size = picture_size(train_files[names[0]][0])
        train = _read(train_files, names, size, path)
        test = _read(test_files, names, size, path) if test_files is not None else None
        notes = []
        if tree.passed_over:
            notes.append(f"{tree.passed_over} files that are not pictures by their names were passed over.")
            request.notify(f"{shown(path)}: passing over {tree.passed_over} files that are not pictures.")
        return own_dataset(
            path=path,
            source="image folder",
            train=train,
            test=test,
            request=request,
            class_names=names,
            sha256={"train-images": train.images_sha256()}
            | ({"test-images": test.images_sha256()} if test is not None else {}),
            notes=notes,
        )


class _Tree:
    """Lists folders and files below a root, in a fixed order, and nothing outside of it."""

    def __init__(self, root: Path) -> None:
        self._real_root = root.resolve()
        self.passed_over = 0

    def _entries(self, folder: Path) -> list[Path]:
        try:
            with os.scandir(folder) as found:
                names = sorted(entry.name for entry in found if not entry.name.startswith("."))
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

    def classes(self, folder: Path) -> dict[str, list[Path]]:
        """Class name to its picture files.

        Raises:
            InputError: fewer than two classes, an empty one, a folder inside one, or an unprintable name.
        """
        found: dict[str, list[Path]] = {}
        for class_folder in self.folders(folder):
            if not class_folder.name.isprintable():
                raise bad_file(class_folder, "a printable class name", "control characters", "Rename it.")
            if inner := self.folders(class_folder):
                raise bad_file(inner[0], "pictures in a class's folder", "a further folder", "Move it out.")
            files = self.files(class_folder)
            pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
            self.passed_over += len(files) - len(pictures)
            if not pictures:
                others = sorted({file.suffix or file.name for file in files})
                raise bad_file(
                    class_folder,
                    f"pictures ({', '.join(sorted(SUFFIXES))})",
                    f"only {', '.join(others[:5])}" if others else "an empty folder",
                    "Add pictures, or remove the folder.",
                )
            found[class_folder.name] = pictures
        if len(found) < 2:
            raise bad_file(folder, "folders of 2 classes or more", f"{len(found)}", "Add a class.")
        return found


def _class_order(names: dict[str, list[Path]]) -> _Key:
    if all(name.isascii() and name.isdigit() for name in names):
        return lambda name: (int(name[:18]), name)
    return lambda name: (0, name)


def _read(files: dict[str, list[Path]], names: list[str], size: tuple[int, int], root: Path) -> Split:
    listed = [(file, number) for number, name in enumerate(names) for file in files.get(name, ())]
    if (promised := len(listed) * size[0] * size[1]) > MAX_ARRAY_BYTES:
        raise bad_file(
            root,
            f"at most {MAX_ARRAY_BYTES:,} bytes of pixels",
            f"{promised:,}",
            "Use fewer or smaller images.",
        )
    images = np.empty((len(listed), *size), np.uint8)
    for row, (file, _) in zip(images, listed, strict=True):
        row[...] = read_picture(file, size)
    return own_split(root, images, np.array([number for _, number in listed], np.int64))


READER = ImageFolderReader()
