"""A user's own folder of pictures: one subfolder a class, in parts or not."""

from __future__ import annotations

from pathlib import Path

from mnist_export.data.dataset import Dataset
from mnist_export.data.limits import shown
from mnist_export.data.own import own_dataset
from mnist_export.data.picture_parts import read_parts
from mnist_export.data.picture_tree import find_layout
from mnist_export.data.request import Request


class ImageFolderReader:
    """Reads pictures as uint8 images of shape (n, height, width, channels).

    Channels and size are those of `Request.pictures`; what it leaves open is as the pictures have it. Classes
    are numbered in the order of their folders' names, by value where all are whole numbers. Nothing
    outside the folder is read, whatever links it holds.
    """

    def accepts(self, path: Path) -> bool:
        """Say whether it is a folder."""
        return path.is_dir()

    def __call__(self, path: Path, request: Request) -> Dataset:
        """Load it, or raise `InputError`."""
        layout = find_layout(path)
        made = read_parts(path, layout.parts, request.pictures)
        notes = (*layout.notes, *made.notes)
        for note in notes:
            request.notify(f"{shown(path)}: {shown(note)}")
        return own_dataset(
            path=path,
            source="image folder",
            train=made.splits["train"],
            validation=made.splits.get("validation"),
            test=made.splits.get("test"),
            request=request,
            class_names=layout.class_names,
            sha256=made.sha256,
            notes=notes,
            every_class=False,
        )


READER = ImageFolderReader()
