from __future__ import annotations

import dataclasses
import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mnist_export.core.cache import cache_folder
from mnist_export.core.errors import OutputError
from mnist_export.core.files import TEMPORARY_PREFIX
from mnist_export.data import download
from mnist_export.data.download import fetch
from mnist_export.data.locate import PublishedLoader
from mnist_export.data.mnist import load as mnist
from mnist_export.data.published import PARTS, Published, archive_name, hashes, idx_files, read_parts
from mnist_export.data.request import Request, UnavailableError

Respond = Callable[[http.server.BaseHTTPRequestHandler, bytes], None]
TRAIN_IMAGES = archive_name("train-images")


def send(handler: http.server.BaseHTTPRequestHandler, body: bytes, *, length: int | None = None) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


class Server:
    """Serves a folder; `faults` maps a file name to what is done instead of sending the file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.faults: dict[str, Respond] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        path = self.folder / handler.path.lstrip("/")
        self.asked.append(handler.path)
        body = path.read_bytes() if path.is_file() else b""
        try:
            if path.name in self.faults:
                self.faults[path.name](handler, body)
            elif path.is_file():
                send(handler, body)
            else:
                handler.send_error(404)
        except OSError:  # the client has gone
            pass

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(
    tmp_path: Path, write_idx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server]:
    write_idx(tmp_path / "served" / "mnist")
    served = Server(tmp_path / "served")
    monkeypatch.setenv("MNIST_EXPORT_MIRROR", served.url + "/")
    yield served
    served.close()


@pytest.fixture
def published(server: Server) -> Published:
    return dataclasses.replace(mnist.published, sha256=hashes(read_parts(server.folder / "mnist")))


@pytest.fixture
def online(said: list[str]) -> Request:
    return Request(notify=said.append)


def assert_nothing_is_left_but_whole_files(folder: Path, published: Published) -> None:
    for path in folder.iterdir() if folder.exists() else ():
        assert not path.name.startswith(TEMPORARY_PREFIX), path
    for part, path in idx_files(folder).items():
        assert download._content_sha256(path, part) == published.sha256[part]


def test_all_files_arrive_whole_and_the_next_load_needs_no_network(
    *, server: Server, published: Published, online: Request, said: list[str]
) -> None:
    loader = PublishedLoader(published)
    data = loader(online)
    assert data.provenance.source == f"download from {server.url}/mnist"
    assert len(data.test) == 20 and data.provenance.sha256 == dict(published.sha256)
    assert said == [f"Downloading MNIST from {server.url}/mnist to {cache_folder() / 'mnist'}."]
    assert sorted(path.name for path in (cache_folder() / "mnist").iterdir()) == sorted(
        map(archive_name, PARTS)
    )
    server.close()
    assert loader(dataclasses.replace(online, download=False)).provenance.source == "cache"


def test_only_what_is_missing_or_damaged_is_downloaded(
    *, server: Server, published: Published, online: Request, tmp_path: Path
) -> None:
    fetch(published, tmp_path / "c", online)
    (tmp_path / "c" / archive_name("t10k-images")).unlink()
    (tmp_path / "c" / archive_name("train-labels")).write_bytes(b"damaged")
    (tmp_path / "c" / "train-labels-idx1-ubyte").write_bytes(b"a damaged raw file would be preferred")
    server.asked.clear()
    fetch(published, tmp_path / "c", online)
    assert server.asked[1:] == [f"/mnist/{archive_name(part)}" for part in ("train-labels", "t10k-images")]
    assert hashes(read_parts(tmp_path / "c")) == dict(published.sha256)


def truncated(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    send(handler, body[: len(body) // 2])


def cut_off(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    send(handler, body[: len(body) // 2], length=len(body))


def web_page(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    send(handler, b"\n<!DOCTYPE html><html><body>Please log in to the Wi-Fi</body></html>")


def other_content(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    import gzip

    content = bytearray(gzip.decompress(body))
    content[-1] ^= 1
    send(handler, gzip.compress(content))


def not_found(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_error(404)


def reset(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def empty(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    send(handler, b"")


@pytest.mark.parametrize(
    ("fault", "fragment"),
    [
        (truncated, "its end missing"),
        (cut_off, "cut off"),
        (web_page, "found a web page"),
        (other_content, "expected content of SHA-256"),
        (not_found, "404"),
        (reset, "no connection"),
        (empty, "0 bytes"),
    ],
)
def test_a_bad_answer_is_refused_and_leaves_no_trace(
    *,
    fault: Respond,
    fragment: str,
    server: Server,
    published: Published,
    online: Request,
    refused: Callable[..., str],
    tmp_path: Path,
) -> None:
    server.faults[TRAIN_IMAGES] = fault
    with pytest.raises(UnavailableError):
        fetch(published, tmp_path / "c", online)
    line = refused(lambda: fetch(published, tmp_path / "c", online), "MNIST", TRAIN_IMAGES, fragment)
    assert TEMPORARY_PREFIX not in line and "MNIST_EXPORT_DATA" in line
    assert_nothing_is_left_but_whole_files(tmp_path / "c", published)
    server.faults.clear()
    fetch(published, tmp_path / "c", online)
    assert hashes(read_parts(tmp_path / "c")) == dict(published.sha256)


def test_a_server_that_lacks_the_data_set_is_not_used(
    *, server: Server, published: Published, online: Request, refused: Callable[..., str], tmp_path: Path
) -> None:
    other = dataclasses.replace(published, name="other")
    refused(lambda: fetch(other, tmp_path / "c", online), "HTTP status 404")
    assert not (tmp_path / "c").exists()


def test_the_next_mirror_takes_over(
    *,
    server: Server,
    published: Published,
    online: Request,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: list[str],
) -> None:
    monkeypatch.delenv("MNIST_EXPORT_MIRROR")
    good, bad = server, Server(server.folder)
    bad.faults[TRAIN_IMAGES] = web_page
    mirrors = ("http://127.0.0.1:9/closed", f"{bad.url}/mnist", f"{good.url}/mnist")
    source = fetch(dataclasses.replace(published, mirrors=mirrors), tmp_path / "c", online)
    bad.close()
    assert source == f"download from {good.url}/mnist" and len(said) == 2
    assert_nothing_is_left_but_whole_files(tmp_path / "c", published)


def drip(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    for byte in body[:100]:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def stall(handler: http.server.BaseHTTPRequestHandler, body: bytes) -> None:
    time.sleep(10)


def test_a_server_that_drips_is_given_up(
    *,
    server: Server,
    published: Published,
    online: Request,
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "SLOW_AFTER_S", 0.3)
    server.faults[TRAIN_IMAGES] = drip
    start = time.monotonic()
    refused(lambda: fetch(published, tmp_path / "c", online), "slower than")
    assert time.monotonic() - start < 3
    assert_nothing_is_left_but_whole_files(tmp_path / "c", published)


def test_a_server_that_stalls_is_given_up(
    *,
    server: Server,
    published: Published,
    online: Request,
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "READ_TIMEOUT_S", 0.3)
    server.faults[TRAIN_IMAGES] = stall
    refused(lambda: fetch(published, tmp_path / "c", online), "no answer in time")


def test_a_file_without_end_is_cut(
    *,
    server: Server,
    published: Published,
    online: Request,
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(download, "MAX_FILE_BYTES", 1 << 14)
    refused(lambda: fetch(published, tmp_path / "c", online), "more than 16,384 bytes")
    assert_nothing_is_left_but_whole_files(tmp_path / "c", published)


@pytest.mark.parametrize("kind", ["closed", "silent", "no_such_host", "not_an_address"])
def test_without_a_network_the_answer_comes_fast(
    *,
    kind: str,
    published: Published,
    online: Request,
    refused: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection and says nothing
        silent_port = silent.getsockname()[1]
        url = {
            "closed": "http://127.0.0.1:9",
            "silent": f"http://127.0.0.1:{silent_port}",
            "no_such_host": "http://host.invalid",
            "not_an_address": "nonsense",
        }[kind]
        monkeypatch.setenv("MNIST_EXPORT_MIRROR", url)
        start = time.monotonic()
        refused(lambda: fetch(published, tmp_path / "c", online), url)
        assert time.monotonic() - start < 4.5
    assert not (tmp_path / "c").exists()


def test_a_cache_that_cannot_be_written_names_the_variable(
    *, server: Server, published: Published, online: Request, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="MNIST_EXPORT_CACHE"):
        fetch(published, tmp_path / "file" / "c", online)


def test_temporaries_of_a_killed_run_are_swept_when_old(
    *, server: Server, published: Published, online: Request, tmp_path: Path
) -> None:
    import os

    (tmp_path / "c").mkdir()
    old, new = tmp_path / "c" / f"{TEMPORARY_PREFIX}old", tmp_path / "c" / f"{TEMPORARY_PREFIX}new"
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    fetch(published, tmp_path / "c", online)
    assert not old.exists() and new.exists()


def test_two_downloads_at_once_do_not_disturb_each_other(
    *, server: Server, published: Published, online: Request, tmp_path: Path
) -> None:
    problems: list[BaseException] = []

    def work() -> None:
        try:
            fetch(published, tmp_path / "c", online)
        except BaseException as error:  # noqa: BLE001  # reported by the assertion below
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert hashes(read_parts(tmp_path / "c")) == dict(published.sha256)
    assert_nothing_is_left_but_whole_files(tmp_path / "c", published)
