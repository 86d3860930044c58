"""From lists of picture files to the parts of a data set: in memory where they are few, else streamed."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mnist_export.core.images import Pixels
from mnist_export.data.dataset import Split
from mnist_export.data.limits import bad_file, check_image_size, shown
from mnist_export.data.own import not_black_and_white
from mnist_export.data.picture_list import PictureList
from mnist_export.data.picture_options import PictureOptions
from mnist_export.data.picture_store import PictureStore
from mnist_export.data.pictures import picture_header
from mnist_export.data.row_file import pixel_folder, room_bytes

IN_MEMORY_BYTES = 64 << 20
"""Pixels of a data set that are decoded at once; of more, only what is asked for is in memory."""

_LOOKED_AT = 100


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What was made of the lists.

    Attributes:
        splits: part to its images and labels.
        sha256: part to a hash of its pixels, or of its list where it is streamed.
        notes: what the user should know of the pictures.
    """

    splits: Mapping[str, Split]
    sha256: Mapping[str, str]
    notes: tuple[str, ...]


def read_parts(where: Path, listed: Mapping[str, PictureList], options: PictureOptions) -> Parts:
    """Make the parts of a data set.

    Pixels of up to `IN_MEMORY_BYTES` are decoded at once. More are decoded when they are needed and kept
    on disk for the run, or, where the disk has no room, decoded anew on each pass.

    Args:
        where: the folder or file that names the pictures, for messages and hashes.
        listed: part to its pictures.
        options: what pictures become.

    Raises:
        InputError: an empty part, unequal sizes where none is asked for, or a picture that cannot be read.
    """
    if empty := [part for part, pictures in listed.items() if not len(pictures)]:
        raise bad_file(where, f"pictures for {empty[0]}", "none", "Add some, or remove the part.")
    size, channels = _form(listed, options)
    resize = options.resize if options.size is not None else None
    each = size[0] * size[1] * channels
    streamed = sum(map(len, listed.values())) * each > IN_MEMORY_BYTES
    notes: list[str] = []
    keep = _kept_parts(listed, each, notes) if streamed else frozenset()
    stores = {
        part: PictureStore(pictures, size=size, channels=channels, resize=resize, keep=part in keep)
        for part, pictures in listed.items()
    }
    splits, sha256 = {}, {}
    counted: Counter[str] = Counter()
    for part, store in stores.items():
        labels = store.files.labels
        if streamed:
            for row in np.unique(np.linspace(0, len(store) - 1, _LOOKED_AT).astype(np.int64)).tolist():
                _look(store, row, counted)  # what is wrong with all of them shows at once
            splits[part] = Split(images=store, labels=labels)
            sha256[f"{part}-files"] = _list_sha256(where, store.files)
            continue
        images = np.empty(store.shape, np.uint8)
        for row in range(len(store)):
            images[row] = _look(store, row, counted)
        splits[part] = Split(images=images, labels=labels)
        sha256[f"{part}-images"] = splits[part].images_sha256()
    not_black_and_white(where, counted["brightest"])
    return Parts(splits=splits, sha256=sha256, notes=(*notes, *_notes(counted, options, streamed=streamed)))


def _form(listed: Mapping[str, PictureList], options: PictureOptions) -> tuple[tuple[int, int], int]:
    """Size and channels of every image; headers are read only where the options leave them open."""
    size, channels = options.size, options.channels
    if channels is None:
        colour = any(picture_header(file).colour for pictures in listed.values() for file in pictures)
        channels = 3 if colour else 1
    if size is None:
        first = next(iter(listed.values()))[0]
        size = picture_header(first).size
        check_image_size(first, *size, least=1)
    return size, channels


def _kept_parts(listed: Mapping[str, PictureList], each: int, notes: list[str]) -> frozenset[str]:
    """The parts whose decoded pixels the disk has room for: test first, which every file is judged on."""
    room, kept = room_bytes(), set()
    for part in ("test", "validation", "train"):
        if part not in listed:
            continue
        needed = len(listed[part]) * each
        if needed <= room:
            kept.add(part)
            room -= needed
        else:
            notes.append(
                f"The {part} part is {needed / 1e9:,.1f} GB of pixels and {shown(pixel_folder())} has room "
                f"for {room / 1e9:,.1f} GB: its pictures are decoded anew on each pass. MNIST_EXPORT_CACHE "
                "names a folder on a larger disk."
            )
    return frozenset(kept)


def _look(store: PictureStore, row: int, counted: Counter[str]) -> Pixels:
    picture = store.picture(row)
    counted.update(looked_at=1, resized=picture.resized, transparent=picture.transparent)
    counted["brightest"] = max(counted["brightest"], int(picture.pixels.max()))
    return picture.pixels


def _list_sha256(where: Path, files: PictureList) -> str:
    """Hash of the names, class numbers and sizes of the files, in order."""
    digest = hashlib.sha256()
    base = f"{where if where.is_dir() else where.parent}/"
    for row, label in enumerate(files.labels.tolist()):
        path = files.text(row)
        size = os.stat(path).st_size  # noqa: PTH116 - a million of them
        digest.update(os.fsencode(path.removeprefix(base)) + f"\0{label}\0{size}\n".encode())
    return digest.hexdigest()


def _notes(counted: Counter[str], options: PictureOptions, *, streamed: bool) -> list[str]:
    notes: list[str] = []
    among = f" of {counted['looked_at']} that were looked at" if streamed else ""
    if counted["resized"] and options.size is not None:
        height, width = options.size
        notes.append(
            f"{counted['resized']} pictures{among} were resized to {height}x{width} ({options.resize}, as "
            "Keras does, then rounded to whole pixel values)."
        )
    if counted["transparent"]:
        notes.append(
            f"{counted['transparent']} pictures{among} have transparent pixels: the transparency was "
            "dropped, as Keras does."
        )
    return notes
