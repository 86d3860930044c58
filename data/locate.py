"""Finds a published data set: `MNIST_EXPORT_DATA`, the cache, Keras's cache, then the network."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mnist_export.core.cache import cache_folder, home_folder
from mnist_export.core.errors import InputError
from mnist_export.data.dataset import Dataset
from mnist_export.data.idx import idx_sha256, read_idx_labels
from mnist_export.data.limits import bad_file, shown
from mnist_export.data.npz import NpzFile
from mnist_export.data.own import own_split
from mnist_export.data.published import Bytes, Published, build, hashes, idx_files, read_parts
from mnist_export.data.registry import DATASETS
from mnist_export.data.request import Request, UnavailableError

_ReadParts = Callable[[], dict[str, Bytes]]

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")


class PublishedLoader:
    """Loads a published data set from wherever it is found first.

    Args:
        published: the data set.
    """

    def __init__(self, published: Published) -> None:
        """Keep the description; nothing is read yet."""
        self.published = published

    def __call__(self, request: Request) -> Dataset:
        """Load it.

        Raises:
            UnavailableError: it is not on this machine and cannot be, or may not be, downloaded.
            InputError: `MNIST_EXPORT_DATA` is wrong, or what it holds is unsound.
        """
        dataset = self.local(request)
        if dataset is not None:
            return dataset
        if not request.download:
            raise UnavailableError(
                f"{self.published.title}: expected the four IDX files on this machine, found none. Set "
                f'MNIST_EXPORT_DATA to their folder, or use `data="digits"`.'
            )
        from mnist_export.data.download import fetch

        folder = cache_folder() / self.published.name
        source = fetch(self.published, folder, request)
        return build(self.published, read_parts(folder), source=source, path=folder, request=request)

    def local(self, request: Request) -> Dataset | None:
        """Load it from this machine, or return None where it is not to be found here."""
        return self._from_environment(request) or self._from_cache(request) or self._from_keras(request)

    def _from_environment(self, request: Request) -> Dataset | None:
        value = os.environ.get("MNIST_EXPORT_DATA")
        if not value:
            return None
        root = Path(value).expanduser()
        if not root.is_dir():
            raise bad_file(
                root,
                "a folder with data sets (MNIST_EXPORT_DATA)",
                "a file" if root.exists() else "nothing",
                "Correct the variable, or unset it.",
            )
        for folder in (root / name for name in self.published.folders):
            if idx_files(folder):
                return self._build(folder, "MNIST_EXPORT_DATA", request)
        if idx_files(root) and self._is_meant_by(root):
            return self._build(root, "MNIST_EXPORT_DATA", request)
        return None

    def _is_meant_by(self, folder: Path) -> bool:
        """Say whether a folder of unnamed IDX files is this data set; unknown content passes for MNIST."""
        labels = idx_files(folder).get("t10k-labels")
        known = recognise("t10k-labels", idx_sha256(read_idx_labels(labels))) if labels else None
        return (known.name if known else "mnist") == self.published.name

    def _build(self, folder: Path, source: str, request: Request) -> Dataset:
        return build(self.published, read_parts(folder), source=source, path=folder, request=request)

    def _from_cache(self, request: Request) -> Dataset | None:
        folder = cache_folder() / self.published.name
        if not idx_files(folder):
            return None
        return self._if_sound(folder, "cache", lambda: read_parts(folder), request)

    def _from_keras(self, request: Request) -> Dataset | None:
        path = keras_folder() / "datasets" / self.published.keras_cache
        if path.is_file():
            return self._if_sound(path, "Keras cache", lambda: _read_npz_parts(path), request)
        if idx_files(path):
            return self._if_sound(path, "Keras cache", lambda: read_parts(path), request)
        return None

    def _if_sound(self, path: Path, source: str, read: _ReadParts, request: Request) -> Dataset | None:
        """Build from a cache, or say why not and return None: a cache is only a shortcut."""
        try:
            parts = read()
            if hashes(parts) != dict(self.published.sha256):
                raise bad_file(path, f"the published {self.published.title}", "other content", "Delete it.")
            return build(self.published, parts, source=source, path=path, request=request)
        except InputError as error:
            request.notify(f"Passing over the {source.lower() if source == 'cache' else source}: {error}")
            return None


def recognise(part: str, sha256: str) -> Published | None:
    """Return the published data set one part of which has this hash, if there is one."""
    for name in DATASETS:
        loader = DATASETS.get(name)
        if isinstance(loader, PublishedLoader) and loader.published.sha256[part] == sha256:
            return loader.published
    return None


def keras_folder() -> Path:
    """Keras's folder: `KERAS_HOME`, else ``~/.keras``."""
    value = os.environ.get("KERAS_HOME")
    return Path(value).expanduser() if value else home_folder() / ".keras"


def _read_npz_parts(path: Path) -> dict[str, Bytes]:
    parts: dict[str, Bytes] = {}
    with NpzFile(path) as npz:
        npz.require(NPZ_KEYS)
        for half, x, y in (("train", "x_train", "y_train"), ("t10k", "x_test", "y_test")):
            split = own_split(shown(path), npz.read(x), npz.read(y))
            parts[f"{half}-images"] = np.ascontiguousarray(np.asarray(split.images)[..., 0])
            parts[f"{half}-labels"] = split.labels.astype(np.uint8)
    return parts
