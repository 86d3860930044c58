"""Downloads the IDX files of a published data set: fast to give up, checked, whole or not at all."""

from __future__ import annotations

import os
import queue
import secrets
import threading
import time
from pathlib import Path
from typing import Any

from mnist_export.core.errors import InputError, OutputError
from mnist_export.core.files import TEMPORARY_PREFIX, sweep
from mnist_export.data.idx import idx_sha256, read_idx_images, read_idx_labels
from mnist_export.data.limits import shown
from mnist_export.data.published import PARTS, Published, archive_name, idx_files
from mnist_export.data.request import Request, UnavailableError

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 30.0
SLOW_AFTER_S = 15.0
SLOWEST_BYTES_PER_S = 8_000
MAX_FILE_BYTES = 64 << 20
STALE_TEMPORARY_S = 3_600.0


def fetch(published: Published, folder: Path, request: Request) -> str:
    """Download the parts that a folder lacks; each appears there whole and checked, or not at all.

    The mirrors are asked all at once and have three seconds to answer, so that a machine without a
    network, or with one that swallows packets, waits no longer than that. `MNIST_EXPORT_MIRROR`, a base
    address below which ``<name>/<file>`` lies, replaces them.

    Args:
        published: what to download.
        folder: where to; made if it is not there.
        request: whom to tell.

    Returns:
        Where from, for the provenance.

    Raises:
        UnavailableError: no mirror answered, or none gave the published content.
        OutputError: the folder cannot be written.
    """
    base = os.environ.get("MNIST_EXPORT_MIRROR")
    mirrors = (f"{base.rstrip('/')}/{published.name}",) if base else published.mirrors
    reasons: list[str] = []
    ready = _answering(mirrors, reasons)
    if ready:
        _prepare(folder)
    for mirror in ready:
        request.notify(f"Downloading {published.title} from {mirror} to {folder}.")
        try:
            for part in PARTS:
                if not _is_sound(folder, part, published.sha256[part]):
                    _fetch_part(f"{mirror}/{archive_name(part)}", folder, part, published.sha256[part])
        except InputError as error:
            reasons.append(str(error))
            continue
        return f"download from {mirror}"
    raise UnavailableError(
        f"{published.title}: expected a download, found: {'; '.join(reasons)}. Set MNIST_EXPORT_DATA to a "
        'folder with the four IDX files, or use `data="digits"`.'
    )


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sweep(folder, older_than_s=STALE_TEMPORARY_S)
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _cannot_write(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot write {shown(folder)}: {error.strerror or error}. Set MNIST_EXPORT_CACHE to another folder."
    )


def _is_sound(folder: Path, part: str, sha256: str) -> bool:
    """Say whether the cache holds a part; what is there but is not the part is deleted."""
    path = idx_files(folder).get(part)
    if path is None:
        return False
    try:
        if _content_sha256(path, part) == sha256:
            return True
    except InputError:
        pass
    try:
        path.unlink()
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return False


def _content_sha256(path: Path, part: str) -> str:
    return idx_sha256(read_idx_images(path) if part.endswith("images") else read_idx_labels(path))


def _answering(mirrors: tuple[str, ...], reasons: list[str]) -> list[str]:
    """Ask every mirror for a file at once; return those that answer in time, in the order given."""
    answers: queue.SimpleQueue[tuple[str, str | None]] = queue.SimpleQueue()
    for mirror in mirrors:
        # Daemon threads: a name server that never answers must not hold up the end of the process.
        threading.Thread(target=_ask, args=(mirror, answers), daemon=True).start()
    found: dict[str, str | None] = {}
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    while len(found) < len(mirrors) and (left := deadline - time.monotonic()) > 0:
        try:
            mirror, problem = answers.get(timeout=left)
        except queue.Empty:
            break
        found[mirror] = problem
    for mirror in mirrors:
        if (problem := found.get(mirror, f"no answer in {CONNECT_TIMEOUT_S:g} s")) is not None:
            reasons.append(f"{mirror}: {problem}")
    return [mirror for mirror in mirrors if mirror in found and found[mirror] is None]


def _ask(mirror: str, answers: queue.SimpleQueue[tuple[str, str | None]]) -> None:
    import requests

    try:
        timeout = (CONNECT_TIMEOUT_S, CONNECT_TIMEOUT_S)
        with requests.get(f"{mirror}/{archive_name('t10k-labels')}", stream=True, timeout=timeout) as answer:
            problem = None if answer.ok else f"HTTP status {answer.status_code}"
    except (requests.RequestException, OSError, ValueError) as error:
        problem = _network_reason(error)
    answers.put((mirror, problem))


def _network_reason(error: Exception) -> str:
    """Put a network error in a few words; the libraries' own texts run over several lines."""
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate was not accepted"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy did not let it through"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut off"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return shown(str(error))[:120] or type(error).__name__


def _fetch_part(url: str, folder: Path, part: str, sha256: str) -> None:
    temporary = folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        _download(url, temporary, archive_name(part))
        _check(url, temporary, part, sha256)
        temporary.replace(folder / archive_name(part))
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _download(url: str, temporary: Path, name: str) -> None:
    """Download in a thread, so that a server that sends a byte now and then can be given up."""
    import pooch
    import requests

    with _Bar(name) as bar:
        downloader = pooch.HTTPDownloader(
            progressbar=bar, chunk_size=1 << 13, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        )
        outcome: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()

        def work() -> None:
            try:
                downloader(url, str(temporary), None)
                outcome.put(None)
            except (requests.RequestException, OSError, ValueError, InputError) as error:
                outcome.put(error)

        threading.Thread(target=work, daemon=True).start()
        while True:
            try:
                problem = outcome.get(timeout=0.2)
                break
            except queue.Empty:
                bar.check_speed()
    if isinstance(problem, (requests.RequestException, ValueError)):
        raise InputError(f"{url}: {_network_reason(problem)}") from problem
    if problem is not None:
        raise problem


def _check(url: str, temporary: Path, part: str, sha256: str) -> None:
    with temporary.open("rb") as stream:
        start = stream.read(512).lstrip().lower()
        os.fsync(stream.fileno())
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise InputError(f"{url}: expected a gzip file, found a web page")
    try:
        found = _content_sha256(temporary, part)
    except InputError as error:
        raise InputError(f"{url}: {str(error).replace(str(temporary), 'the download')}") from error
    if found != sha256:
        raise InputError(f"{url}: expected content of SHA-256 {sha256[:12]}, found {found[:12]}")


class _Bar:
    """A progress bar for pooch that also ends a download that is too long or too slow."""

    def __init__(self, name: str) -> None:
        from tqdm import tqdm

        # None: only on a terminal. Written to stderr, which is tqdm's default.
        self._bar: Any = tqdm(desc=name, unit="B", unit_scale=True, disable=None, leave=False, delay=0.5)
        self._name = name
        self._received = 0
        self._start = time.monotonic()
        self._given_up = False
        self.total = 0

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._given_up = True
        self._bar.close()

    def check_speed(self) -> None:
        """Raise `InputError` once the download has been far too slow for a while."""
        elapsed_s = time.monotonic() - self._start
        if elapsed_s > SLOW_AFTER_S and self._received < SLOWEST_BYTES_PER_S * elapsed_s:
            raise InputError(f"{self._name}: slower than {SLOWEST_BYTES_PER_S:,} bytes a second")

    def update(self, count: int) -> None:
        """Count bytes; pooch calls this for each block."""
        self._received += count
        if self._given_up or self._received > MAX_FILE_BYTES:
            raise InputError(f"{self._name}: more than {MAX_FILE_BYTES:,} bytes")
        self._bar.total = self.total or None
        self._bar.update(count)

    def reset(self) -> None:
        """Start over; pooch calls this before its last, full update."""
        self._received = 0
        self._bar.reset()

    def close(self) -> None:
        """End the bar; pooch calls this when the file is complete."""
        self._bar.close()
