"""Files that appear whole or not at all: temporary file, fsync, rename."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from mnist_export.core.errors import OutputError

TEMPORARY_PREFIX = ".mnist-export-"
LOCK_NAME = f"{TEMPORARY_PREFIX}lock"
MAX_SHOWN = 300
_LOCK_TRIES = 20


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
        errno.ENOENT: "the folder is gone. Make it again, or choose another folder with -o.",
        errno.EFBIG: "it would pass the limit on a file's size (ulimit -f). Raise the limit.",
        errno.ENAMETOOLONG: "the name is too long. Choose a shorter one with -o.",
        errno.ELOOP: "a link is in the way. Remove it, or choose another folder with -o.",
        errno.EIO: "the disk reports an error. Choose another disk with -o.",
    }
    reason = reasons.get(error.errno or 0, f"{error.strerror or error}.")
    text = str(path)
    name = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
    return OutputError(f"cannot write {name}: {reason}")


def write_atomic(files: Mapping[Path, bytes]) -> None:
    """Write several files so that each is either its old or its new self, whole.

    All bytes go to temporary files first and are synced; only when every one of them is on disk are
    they renamed into place, in the order given (so a manifest belongs last). A link at a target is
    replaced, never written through. Signals wait until all renames are done.

    Args:
        files: target path to content. Parent folders are made.

    Raises:
        OutputError: the disk is full, the folder is read-only, or a path is in the way. The targets
            are then as they were.
    """
    current = Path()
    with contextlib.ExitStack() as cleanup:
        staged: list[tuple[Path, Path]] = []
        try:
            for current, content in files.items():
                current.parent.mkdir(parents=True, exist_ok=True)
                if current.is_dir():
                    raise IsADirectoryError(errno.EISDIR, "is a folder", str(current))
                staged.append((_stage(current.parent, content, cleanup), current))
            with _signals_wait():
                for temporary, target in staged:
                    current = target
                    temporary.replace(target)
                for folder in {target.parent for _, target in staged}:
                    _sync_folder(folder)
        except OSError as error:
            raise _explain(error, current) from error


def _stage(folder: Path, content: bytes, cleanup: contextlib.ExitStack) -> Path:
    """Write a temporary file that stays locked, so that `sweep` knows it is alive, until ``cleanup``."""
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=folder)
    temporary = Path(name)
    cleanup.callback(os.close, descriptor)
    cleanup.callback(temporary.unlink, missing_ok=True)
    with contextlib.suppress(OSError):  # a file system without locks: temporaries then age only
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.fchmod(descriptor, 0o666 & ~_umask())
    os.fsync(descriptor)
    return temporary


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM, so that files of one run are renamed together.

    Handlers are swapped, not signals blocked: a blocked one would reach another thread, and Python then
    raises in the main thread all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    ours = {number: handler for number, handler in handlers.items() if handler is not None}
    for number in ours:
        signal.signal(number, lambda number, _frame: arrived.append(number))
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
    for late in arrived:
        signal.raise_signal(late)


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

    The check comes before any work, so that a run of minutes does not end in a full disk's error. A
    folder that was made here and stays empty is removed again.

    Args:
        folder: the output folder; made if it is not there.

    Raises:
        OutputError: it is a file, cannot be written, or another run is writing to it.
    """
    made: list[Path] = []
    try:
        try:
            made = _missing_folders(folder)
            folder.mkdir(parents=True, exist_ok=True)
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(folder))
            lock = _take_lock(folder)
        except OSError as error:
            raise _explain(error, folder) from error
        except ValueError as error:
            raise OutputError(f"cannot write {folder}: the name holds a null character.") from error
        try:
            sweep(folder)
            yield folder
        finally:
            # Unlinked while still locked: who opened the file before sees in `_take_lock` that it is gone.
            with contextlib.suppress(OSError):
                (folder / LOCK_NAME).unlink()
            os.close(lock)
    finally:
        for path in made:
            with contextlib.suppress(OSError, ValueError):
                path.rmdir()


def _missing_folders(folder: Path) -> list[Path]:
    missing = []
    for path in (folder, *folder.parents):
        if path.exists() or path.is_symlink():
            break
        missing.append(path)
    return missing


def _take_lock(folder: Path) -> int:
    """Open and lock the folder's lock file; returns its descriptor.

    Between opening and locking, the file's former owner may have unlinked it; a lock on a file that has
    no name any more excludes nobody, so the name is looked at again afterwards.
    """
    path = folder / LOCK_NAME
    for _ in range(_LOCK_TRIES):
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            ours, named = os.fstat(descriptor), path.lstat()
            if (ours.st_ino, ours.st_dev) == (named.st_ino, named.st_dev):
                return descriptor
        except FileNotFoundError:
            pass
        except BlockingIOError as error:
            os.close(descriptor)
            raise _taken(folder) from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    raise _taken(folder)


def _taken(folder: Path) -> OutputError:
    return OutputError(
        f"cannot write {folder}: another run is writing to it. Wait for it, or choose another folder with -o."
    )


def sweep(folder: Path, *, older_than_s: float = 0.0) -> int:
    """Delete temporaries that a killed run left in a folder; returns how many.

    A temporary whose writer still lives (it holds a lock on it) is left alone, and so are links and folders.

    Args:
        folder: the folder to clean.
        older_than_s: only those at least this old, in seconds; 0 when the caller holds the lock.
    """
    swept = 0
    now = time.time()
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        if path.name == LOCK_NAME:
            continue
        with contextlib.suppress(OSError):
            found = path.lstat()
            if stat.S_ISREG(found.st_mode) and now - found.st_mtime >= older_than_s and not _is_alive(path):
                path.unlink()
                swept += 1
    return swept


def _is_alive(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without locks
        return False
    finally:
        os.close(descriptor)
    return False


def write_atomic_one(path: Path, content: bytes) -> None:
    """Write one file whole or not at all; see `write_atomic`."""
    write_atomic({path: content})
