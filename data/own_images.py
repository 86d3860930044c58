"""A user's own folder of pictures: one subfolder a class, in parts or not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from mnist_export.data.dataset import Dataset, Split
from mnist_export.data.limits import MAX_ARRAY_BYTES, bad_file, check_image_size, shown
from mnist_export.data.own import own_dataset, own_split
from mnist_export.data.picture_options import PictureOptions
from mnist_export.data.picture_tree import find_layout
from mnist_export.data.pictures import picture_header, read_picture
from mnist_export.data.request import Request

_Listed = list[tuple[Path, int]]


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
        listed = {
            part: [
                (file, number)
                for number, name in enumerate(layout.class_names)
                for file in classes.get(name, ())
            ]
            for part, classes in layout.parts.items()
        }
        counted = Counter({"passed_over": layout.passed_over})
        splits = read_parts(path, listed, request.pictures, counted)
        notes = _notes(counted, request.pictures)
        for part, pictures in listed.items():
            present = {number for _, number in pictures}
            if absent := [name for n, name in enumerate(layout.class_names) if n not in present]:
                notes.append(f"The {part} part has no pictures of {', '.join(absent[:10])}.")
        for note in notes:
            request.notify(f"{shown(path)}: {shown(note)}")
        return own_dataset(
            path=path,
            source="image folder",
            train=splits["train"],
            validation=splits.get("validation"),
            test=splits.get("test"),
            request=request,
            class_names=layout.class_names,
            sha256={f"{part}-images": split.images_sha256() for part, split in splits.items()},
            notes=notes,
            every_class=len(splits) == 1,
        )


def read_parts(
    where: Path, listed: dict[str, _Listed], options: PictureOptions, counted: Counter[str]
) -> dict[str, Split]:
    """Read the pictures of every part into one array each.

    Args:
        where: the folder or file that names them, for messages.
        listed: part to its picture files and class numbers.
        options: what pictures become.
        counted: gets how many were ``resized`` and ``transparent``.

    Raises:
        InputError: an empty part, unequal sizes where none is asked for, more pixels than are held in
            memory, or a picture that cannot be read.
    """
    if empty := [part for part, pictures in listed.items() if not pictures]:
        raise bad_file(where, f"pictures for {empty[0]}", "none", "Add some, or remove the part's folder.")
    size, channels = _form(listed, options)
    for part, pictures in listed.items():
        if (promised := len(pictures) * size[0] * size[1] * channels) > MAX_ARRAY_BYTES:
            raise bad_file(
                where,
                f"at most {MAX_ARRAY_BYTES:,} bytes of pixels a part",
                f"{promised:,} ({len(pictures):,} {part} pictures of {size[0]}x{size[1]}x{channels})",
                "Use fewer or smaller images.",
            )
    return {
        part: _read(where, pictures, size, channels, options, counted) for part, pictures in listed.items()
    }


def _form(listed: dict[str, _Listed], options: PictureOptions) -> tuple[tuple[int, int], int]:
    """Size and channels of every image; headers are read only where the options leave them open."""
    files = [file for pictures in listed.values() for file, _ in pictures]
    size, channels = options.size, options.channels
    if channels is None:
        channels = 3 if any(picture_header(file).colour for file in files) else 1
    if size is None:
        size = picture_header(files[0]).size
        check_image_size(files[0], *size)
    return size, channels


def _read(
    where: Path,
    listed: _Listed,
    size: tuple[int, int],
    channels: int,
    options: PictureOptions,
    counted: Counter[str],
) -> Split:
    images = np.empty((len(listed), *size, channels), np.uint8)
    resize = options.resize if options.size is not None else None
    for row, (file, _) in zip(images, listed, strict=True):
        picture = read_picture(file, size, channels=channels, resize=resize)
        row[...] = picture.pixels
        counted.update(resized=picture.resized, transparent=picture.transparent)
    return own_split(where, images, np.array([number for _, number in listed], np.int64))


def _notes(counted: Counter[str], options: PictureOptions) -> list[str]:
    notes: list[str] = []
    if counted["passed_over"]:
        notes.append(f"{counted['passed_over']} files that are not pictures by their names were passed over.")
    if counted["resized"] and options.size is not None:
        height, width = options.size
        notes.append(
            f"{counted['resized']} pictures were resized to {height}x{width} ({options.resize}, as Keras "
            "does, then rounded to whole pixel values)."
        )
    if counted["transparent"]:
        notes.append(
            f"{counted['transparent']} pictures have transparent pixels: the transparency was dropped, "
            "as Keras does."
        )
    return notes


READER = ImageFolderReader()
