"""Which model files this machine's user wrote with this tool: their hashes, in the user's cache folder.

A manifest beside a file proves nothing about who wrote the two: they may come from the internet together. So
what a manifest says of a file counts only where this record, which no download can reach, has the hash too.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from pathlib import Path

from mnist_export.core.cache import cache_folder

MAX_KEPT = 10_000
_DIGEST = re.compile(r"[0-9a-f]{64}")


def _folder() -> Path:
    return cache_folder() / "known"


def remember(digests: Iterable[str]) -> None:
    """Note hashes of files that were just written; where the cache cannot be written, nothing is noted.

    Args:
        digests: hex SHA-256.
    """
    with contextlib.suppress(OSError, RuntimeError):
        folder = _folder()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if sum(1 for _ in folder.iterdir()) > MAX_KEPT:
            for path in sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime)[: MAX_KEPT // 2]:
                path.unlink(missing_ok=True)
        for digest in digests:
            if _DIGEST.fullmatch(digest):
                (folder / digest).touch()


def is_known(digest: str) -> bool:
    """Whether a hash was noted by `remember` for this user."""
    try:
        return bool(_DIGEST.fullmatch(digest)) and (_folder() / digest).is_file()
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return False
