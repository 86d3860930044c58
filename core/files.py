"""Files that appear whole or not at all: temporary file, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from mnist_export.core.errors import OutputError

TEMPORARY_PREFIX = ".mnist-export-"


def sha256_bytes(data: bytes) -> str:
    """Hex SHA-256 of a byte string."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _explain(error: OSError, path: Path) -> OutputError:
    reasons = {
        errno.ENOSPC: "the disk is full. Free some space or choose another folder with -o.",
        errno.EDQUOT: "the disk quota is used up. Free some space or choose another folder with -o.",
        errno.EROFS: "the file system is read-only. Choose another folder with -o.",
        errno.EACCES: "permission denied. Choose another folder with -o.",
        errno.EPERM: "permission denied. Choose another folder with -o.",
        errno.ENOTDIR: "a part of the path is a file, not a folder. Choose another folder with -o.",
        errno.EEXIST: "a file of that name is in the way. Choose another folder with -o.",
        errno.EISDIR: "it is a folder, expected a file name. Choose another name with -o.",
    }
    reason = reasons.get(error.errno or 0, f"{error.strerror or error}.")
    return OutputError(f"cannot write {path}: {reason}")


def write_atomic(files: Mapping[Path, bytes]) -> None:
    """Write several files so that each is either its old or its new self, whole.

    All bytes go to temporary files first and are synced; only when every one of them is on disk are
    they renamed into place, in the order given (so a manifest belongs last).

    Args:
        files: target path to content. Parent folders are made.

    Raises:
        OutputError: the disk is full, the folder is read-only, or a path is in the way. The targets
            are then as they were.
    """
    staged: list[tuple[Path, Path]] = []
    current = Path()
    try:
        for current, content in files.items():
            current.parent.mkdir(parents=True, exist_ok=True)
            if current.is_dir():
                raise IsADirectoryError(errno.EISDIR, "is a folder", str(current))
            descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=current.parent)
            staged.append((Path(name), current))
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(name, 0o666 & ~_umask())
        for temporary, target in staged:
            current = target
            os.replace(temporary, target)
        for folder in {target.parent for _, target in staged}:
            _sync_folder(folder)
    except OSError as error:
        raise _explain(error, current) from error
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def output_folder(folder: Path) -> Iterator[Path]:
    """Hold a folder for one writer; make it, try that it can be written, sweep stray temporaries.

    The check comes before any work, so that a run of minutes does not end in a full disk's error.

    Args:
        folder: the output folder; made if it is not there.

    Raises:
        OutputError: it is a file, cannot be written, or another run is writing to it.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(folder))
        lock = os.open(folder / f"{TEMPORARY_PREFIX}lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise _explain(error, folder) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(
                f"cannot write {folder}: another run is writing to it. Wait for it, or choose "
                "another folder with -o."
            ) from error
        sweep(folder)
        yield folder
    finally:
        with contextlib.suppress(OSError):
            (folder / f"{TEMPORARY_PREFIX}lock").unlink()
        os.close(lock)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def sweep(folder: Path, *, older_than_s: float = 0.0) -> int:
    """Delete temporaries that a killed run left in a folder; returns how many.

    Args:
        folder: the folder to clean.
        older_than_s: only those at least this old, in seconds; 0 when the caller holds the lock.
    """
    swept = 0
    now = time.time()
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if path.name == f"{TEMPORARY_PREFIX}lock" or path.is_dir():
            continue
        with contextlib.suppress(OSError):
            if now - path.stat().st_mtime >= older_than_s:
                path.unlink()
                swept += 1
    return swept


def write_atomic_one(path: Path, content: bytes) -> None:
    """Write one file whole or not at all; see `write_atomic`."""
    write_atomic({path: content})
