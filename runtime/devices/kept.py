"""A folder of the cache that appears whole or not at all, with a manifest of what is in it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mnist_export.core.cache import cache_folder
from mnist_export.core.errors import InputError, OutputError
from mnist_export.core.files import TEMPORARY_PREFIX, write_atomic_one

MANIFEST: Final = "manifest.json"
LIMIT_S: Final = 1_800.0


@dataclass(frozen=True, kw_only=True)
class KeptFolder:
    """A folder under ``devices`` in the cache; other contents are another folder.

    Attributes:
        name: what messages call it, and how the folder's name begins.
        contents: what is asked for, such as pinned requirements; part of the folder's name.
        version: what else the contents depend on, such as a Python's tag.
        key: how the manifest calls the contents.
    """

    name: str
    contents: tuple[str, ...]
    version: str = platform.machine()
    key: str = "contents"

    @property
    def path(self) -> Path:
        """Where it is, or will be."""
        key = hashlib.sha256("\n".join((self.version, *self.contents)).encode()).hexdigest()
        return cache_folder() / "devices" / f"{self.name}-{key[:12]}"

    def problem(self) -> str:
        """Say in a few words why it cannot be used; empty where it can."""
        try:
            manifest: Any = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return "not prepared"
        except (OSError, ValueError):
            return "its manifest cannot be read"
        if not isinstance(manifest, dict) or manifest.get(self.key) != list(self.contents):
            return "its manifest is for other packages"
        return ""

    def make(self, fill: Callable[[Path], dict[str, Any]], *, ready: Callable[[], str] | None = None) -> None:
        """Fill a temporary folder beside the target, then rename it; a killed run's leftovers are deleted.

        Args:
            fill: fills the folder and returns what else the manifest is to hold.
            ready: says why the folder cannot be used as it is; `problem` where left out.

        Raises:
            OutputError: the cache cannot be written, or another run is at it.
            MnistExportError: what ``fill`` raises.
        """
        root = self.path.parent
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _alone(root):
                for left in root.glob(f"{TEMPORARY_PREFIX}*"):
                    shutil.rmtree(left, ignore_errors=True)
                if not (ready or self.problem)():
                    return
                temporary = root / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
                try:
                    temporary.mkdir(mode=0o700)
                    about = {"schema_version": 1, "device": self.name, self.key: list(self.contents)}
                    about |= fill(temporary)
                    text = json.dumps(about, indent=2) + "\n"
                    write_atomic_one(temporary / MANIFEST, text.encode())
                    shutil.rmtree(self.path, ignore_errors=True)
                    temporary.rename(self.path)
                finally:
                    shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise OutputError(
                f"{self.name}: cannot write {root}: {error.strerror or error}. Free some space, or set "
                "MNIST_EXPORT_CACHE to another folder."
            ) from error


def downloads_folder(name: str) -> Path:
    """Where downloads that were cut off wait to be resumed; emptied once they are whole.

    Args:
        name: of what is fetched.
    """
    folder = cache_folder() / "devices" / ".downloads" / name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def run_step(
    name: str,
    what: str,
    command: Sequence[str],
    *,
    quiet: bool,
    folder: Path,
    variables: dict[str, str] | None = None,
) -> None:
    """Run a program; its output goes to stderr as progress, its errors into the message.

    Args:
        name: the device's, for the message.
        what: what the program is for.
        command: the program and its arguments.
        quiet: without its output.
        folder: where it runs.
        variables: of the environment, besides this process's own.

    Raises:
        InputError: it fails or takes too long.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if quiet else 2,
            stderr=subprocess.PIPE,
            timeout=LIMIT_S,
            env=environment | (variables or {}),
            cwd=folder,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"{name}: {what} took over {LIMIT_S:g} s. Try again.") from error
    except OSError as error:
        raise InputError(f"{name}: {what} failed: {command[0]}: {error.strerror or error}.") from error
    if done.returncode:
        reason = _reason(done.stderr) if done.stderr.strip() else f"it ended with code {done.returncode}."
        raise InputError(f"{name}: {what} failed: {reason}")


def _reason(errors: bytes) -> str:
    """The line that tells most: the last that a program marks as an error, else the last line."""
    lines = [line.strip() for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    lines = [line for line in lines if "complete log of this run" not in line] or lines  # npm's last words
    if reasons := [line for line in lines if line.startswith("npm error") and "reason:" in line]:
        lines = reasons[:1]
    told = [line for line in lines if line.startswith(("ERROR:", "E:", "npm error"))] or lines
    text = told[-1].removeprefix("ERROR:").removeprefix("E:").strip()[:400].rstrip(".")
    hint = "Is there a network, and does the package have a wheel for this Python and processor?"
    return f"{text}. {hint}" if "No matching distribution" in text else f"{text}."


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Hold the folder of environments for one run."""
    descriptor = os.open(root / ".lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"{root}: another run is preparing a device. Wait for it.") from error
        yield
    finally:
        os.close(descriptor)
