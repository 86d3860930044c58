"""Data sets published as the four IDX files of MNIST: where they may lie, how they are recognised.

A file is known by the SHA-256 of its uncompressed content, because the archives exist recompressed in
several ways with the same content.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.data.dataset import Dataset, Provenance, Split
from mnist_export.data.idx import idx_sha256, read_idx_images, read_idx_labels
from mnist_export.data.limits import bad_file
from mnist_export.data.request import Request
from mnist_export.data.splitting import carve

PARTS = ("train-images", "train-labels", "t10k-images", "t10k-labels")
VALIDATION_IMAGES = 5_000

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A data set of 28x28 grey images published as four IDX files.

    Attributes:
        name: as in ``--data``.
        title: as in messages.
        class_names: ten names, in the order of the labels.
        sha256: part, one of `PARTS`, to the hex SHA-256 of its uncompressed IDX file.
        mirrors: base addresses that serve ``<part>-idx?-ubyte.gz``.
        folders: where, below a folder of several data sets, the files may lie.
        keras_cache: its place below Keras's ``datasets`` folder, an .npz file or a folder.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    sha256: Mapping[str, str]
    mirrors: tuple[str, ...]
    folders: tuple[str, ...]
    keras_cache: str


def archive_name(part: str) -> str:
    """File name of a part as published, such as ``train-images-idx3-ubyte.gz``."""
    return f"{part}-idx{3 if part.endswith('images') else 1}-ubyte.gz"


def idx_files(folder: Path) -> dict[str, Path]:
    """Find the parts in a folder: part to file, raw before .gz, ``-idx3`` before ``.idx3``."""
    found: dict[str, Path] = {}
    for part in PARTS:
        stem = archive_name(part).removesuffix(".gz")
        dotted = stem.replace("-idx", ".idx")
        for name in (stem, f"{stem}.gz", dotted, f"{dotted}.gz"):
            if (folder / name).exists():
                found[part] = folder / name
                break
    return found


def read_parts(folder: Path) -> dict[str, Bytes]:
    """Read the four IDX files of a folder.

    Returns:
        Part to array: images uint8 (n, height, width), labels uint8 (n,).

    Raises:
        InputError: one is missing or unsound, or their counts or image sizes disagree.
    """
    files = idx_files(folder)
    if missing := [archive_name(part) for part in PARTS if part not in files]:
        raise bad_file(
            folder,
            "the four IDX files, .gz or raw",
            f"{len(files)} of them (no {', '.join(missing)})",
            "Copy the missing files there, or name another folder.",
        )
    parts = {p: (read_idx_images if p.endswith("images") else read_idx_labels)(files[p]) for p in PARTS}
    for half in ("train", "t10k"):
        images, labels = parts[f"{half}-images"], parts[f"{half}-labels"]
        if len(images) != len(labels):
            raise bad_file(
                files[f"{half}-labels"],
                f"{len(images)} labels, one for each image of {files[f'{half}-images'].name}",
                f"{len(labels)}",
                "Use files that belong together.",
            )
    return parts


def hashes(parts: Mapping[str, Bytes]) -> dict[str, str]:
    """Part to the hex SHA-256 of its uncompressed IDX file."""
    return {part: idx_sha256(array) for part, array in parts.items()}


def build(
    published: Published, parts: Mapping[str, Bytes], *, source: str, path: Path, request: Request
) -> Dataset:
    """Make the data set of its four arrays; validation is a seeded stratified part of train.

    Validation is 5,000 images, or a tenth of train where that is less.

    Args:
        published: what the arrays are said to be.
        parts: one array for each of `PARTS`.
        source: how they were found.
        path: the file or folder they were read from.
        request: the seed, and whom to tell when the content is not the published one.

    Raises:
        InputError: images are not 28x28, or labels not 0..9.
    """
    for half in ("train", "t10k"):
        shape, labels = parts[f"{half}-images"].shape, parts[f"{half}-labels"]
        if shape[1:] != (28, 28):
            raise bad_file(
                path,
                f"{published.title} images of 28x28",
                f"{half} images of {'x'.join(map(str, shape[1:]))}",
                "Use the published files, or name the folder itself with `data` to use it as your own data.",
            )
        if labels.max() >= len(published.class_names):
            raise bad_file(
                path,
                f"{published.title} labels 0..{len(published.class_names) - 1}",
                f"{labels.max()} in {half} labels",
                "Use the published files.",
            )
    found = hashes(parts)
    notes: list[str] = []
    if found != dict(published.sha256):
        notes.append(f"The content is not that of the published {published.title} files.")
        request.notify(f"Note: {path} differs from the published {published.title} files.")
    train, test = (
        Split(images=parts[f"{half}-images"][..., None], labels=parts[f"{half}-labels"].astype(np.int64))
        for half in ("train", "t10k")
    )
    count = min(VALIDATION_IMAGES, len(train) // 10)
    if count < 1:
        raise InputError(f"{path}: expected at least 10 training images, found {len(train)}. Use more.")
    train, validation = carve(train, count, request.seed)
    return Dataset(
        name=published.name,
        train=train,
        validation=validation,
        test=test,
        class_names=published.class_names,
        provenance=Provenance(source=source, path=str(path), sha256=found, notes=tuple(notes)),
    )
