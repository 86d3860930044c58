"""A headless Chromium that opens one page of this machine, and what the page sends back."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from mnist_export.core.errors import InputError

_TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".json": "application/json",
}
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-port=0",
)
_MOST_SENT: Final = 256 << 20


@dataclass(kw_only=True)
class Page:
    """What a page may fetch, and what it posted.

    Attributes:
        content: path to bytes.
        folders: first part of a path to a folder whose files may be fetched.
        posted: name to what came back under it.
        done: set when ``done`` or ``refused`` was posted.
    """

    content: Mapping[str, bytes]
    folders: Mapping[str, Path]
    posted: dict[str, bytes] = field(default_factory=dict)
    done: threading.Event = field(default_factory=threading.Event)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing of connections that the browser drops when it is ended."""


def open_page(
    device: str, chromium: Path, page: Page, *, wall_s: float, variables: Mapping[str, str]
) -> Mapping[str, bytes]:
    """Open ``index.html`` in a browser and wait until the page says that it is done.

    The server listens on the loopback interface alone, under a path that cannot be guessed.

    Args:
        device: its name, for messages.
        chromium: the program.
        page: what it may fetch.
        wall_s: most seconds to wait.
        variables: of the browser's environment.

    Returns:
        What the page posted, by name.

    Raises:
        InputError: the browser does not start, ends, or takes too long.
    """
    secret = secrets.token_urlsafe(16)
    server = _Server(("127.0.0.1", 0), _handler(page, secret))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    folder = Path(tempfile.mkdtemp(prefix="mnist-export-web-"))
    try:
        address = f"http://127.0.0.1:{server.server_port}/{secret}/index.html"
        command = [str(chromium), *_FLAGS, f"--user-data-dir={folder}", address]
        try:
            browser = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **variables, "HOME": str(folder)},
                start_new_session=True,
            )
        except OSError as error:
            raise InputError(f"{device}: cannot start {chromium} ({error.strerror or error}).") from error
        try:
            _wait(device, browser, page, wall_s)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(browser.pid, signal.SIGKILL)
            browser.wait()
    finally:
        server.shutdown()
        server.server_close()
        shutil.rmtree(folder, ignore_errors=True)
    return page.posted


def _wait(device: str, browser: subprocess.Popen[bytes], page: Page, wall_s: float) -> None:
    ends = time.monotonic() + wall_s
    while not page.done.wait(0.2):
        if browser.poll() is not None:
            raise InputError(f"{device}: Chromium ended with code {browser.returncode} before it answered.")
        if time.monotonic() > ends:
            raise InputError(f"{device}: Chromium took over {wall_s:g} s. Check on fewer images.")


def _handler(page: Page, secret: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = _found(page, self._path())
            self.send_response(200 if found is not None else 404)
            body, kind = found or (b"", "text/plain")
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            # isolation from other origins: clocks of 5 us instead of 100
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            name = self._path()
            accepted = bool(name) and length <= _MOST_SENT
            body = self.rfile.read(length) if accepted else b""
            self.send_response(200 if accepted else 413)
            self.send_header("Content-Length", "0")
            self.end_headers()
            if accepted:
                page.posted[name] = body
                if name in {"done", "refused"}:
                    page.done.set()

        def _path(self) -> str:
            path = self.path.partition("?")[0].lstrip("/")
            first, _, rest = path.partition("/")
            return rest if secrets.compare_digest(first.encode(), secret.encode()) else ""

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler


def _found(page: Page, path: str) -> tuple[bytes, str] | None:
    kind = _TYPES.get(Path(path).suffix, "application/octet-stream")
    if path in page.content:
        return page.content[path], kind
    first, _, rest = path.partition("/")
    folder = page.folders.get(first)
    if folder is None:
        return None
    file = (folder / rest).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        return None
    return file.read_bytes(), kind
