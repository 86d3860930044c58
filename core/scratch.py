"""Temporary folders that do not outlive their process for long: a killed one's is swept by the next."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mnist_export.core.errors import OutputError

PREFIX = "mnist-export-scratch-"
# Between a folder's making and its locking lie microseconds; younger ones are left alone all the same.
GRACE_S = 60.0


def cannot_write_scratch(folder: Path, error: OSError) -> OutputError:
    """Build the error for a place for temporaries that takes none."""
    return OutputError(
        f"cannot write temporary files in {folder}: {error.strerror or error}. Free some space, or set "
        "TMPDIR to another folder."
    )


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this process alone (mode 700) in the system's place for temporaries.

    It is deleted at the end; one that a killed process left is deleted when the next is made. A lock
    that its process holds tells a living one.

    Raises:
        OutputError: it cannot be made.
    """
    root = Path(tempfile.gettempdir())
    sweep_scratch(root)
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
    except OSError as error:
        raise cannot_write_scratch(root, error) from error
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def temporaries_in_scratch() -> Iterator[Path]:
    """A scratch folder that libraries' own temporary files go to while the block runs.

    TensorFlow's converter makes a folder with ``tempfile.mkdtemp`` and leaves it behind when it is killed.
    """
    with scratch_folder() as folder:
        before = tempfile.tempdir
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = before


def sweep_scratch(root: Path, *, grace_s: float = GRACE_S) -> int:
    """Delete this user's scratch folders whose process is gone; returns how many.

    Args:
        root: where they are.
        grace_s: folders younger than this, in seconds, are left alone.
    """
    swept = 0
    for folder in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < grace_s:
                continue
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                swept += 1
            finally:
                os.close(lock)
    return swept
