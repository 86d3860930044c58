"""A user's own folder with the four IDX files."""

from __future__ import annotations

from pathlib import Path

from mnist_export.data.dataset import Dataset
from mnist_export.data.limits import bad_file
from mnist_export.data.locate import recognise
from mnist_export.data.own import own_dataset, own_split
from mnist_export.data.published import build, hashes, idx_files, read_parts
from mnist_export.data.request import Request


class IdxReader:
    """Reads a folder with the four IDX files, or one whose subfolders hold them.

    Content that is a published data set's gets that data set's name and class names.
    """

    def accepts(self, path: Path) -> bool:
        """Say whether an IDX file lies in the folder or one level below it."""
        return path.is_dir() and (bool(idx_files(path)) or bool(_subfolders(path)))

    def __call__(self, path: Path, request: Request) -> Dataset:
        """Load it, or raise `InputError`."""
        if not idx_files(path):
            inner = _subfolders(path)
            if len(inner) > 1:
                raise bad_file(
                    path,
                    "one data set",
                    f"{len(inner)}: {', '.join(folder.name for folder in inner)}",
                    f'Name one of them: `data="{inner[0]}"`',
                )
            path = inner[0]
        parts = read_parts(path)
        sha256 = hashes(parts)
        known = recognise("train-images", sha256["train-images"])
        if known is not None and dict(known.sha256) == sha256:
            return build(known, parts, source="IDX folder", path=path, request=request)
        train, test = (
            own_split(f"{path}/{half}", parts[f"{half}-images"], parts[f"{half}-labels"])
            for half in ("train", "t10k")
        )
        return own_dataset(
            path=path, source="IDX folder", train=train, test=test, request=request, sha256=sha256
        )


def _subfolders(path: Path) -> list[Path]:
    try:
        return sorted(entry for entry in path.iterdir() if entry.is_dir() and idx_files(entry))
    except OSError:
        return []


READER = IdxReader()
