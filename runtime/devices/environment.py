"""A Python environment of a device's own in the cache: fetched whole, tried, then renamed into place."""

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
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mnist_export.core.cache import cache_folder
from mnist_export.core.errors import InputError, OutputError
from mnist_export.core.files import TEMPORARY_PREFIX, sha256_file, write_atomic_one

MANIFEST: Final = "manifest.json"
LIMIT_S: Final = 1_800.0
_PIP: Final = ("-m", "pip", "--disable-pip-version-check", "--no-input")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Pinned packages in a folder of the cache; another pin or another Python is another folder.

    Attributes:
        name: the device's.
        requirements: every package with its version.
        module: imported to see that the packages work.
    """

    name: str
    requirements: tuple[str, ...]
    module: str

    @property
    def folder(self) -> Path:
        """Where the environment is, or will be."""
        version = f"{sys.implementation.cache_tag}-{platform.machine()}"
        key = hashlib.sha256("\n".join((version, *self.requirements)).encode()).hexdigest()
        return cache_folder() / "devices" / f"{self.name}-{key[:12]}"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def problem(self) -> str:
        """Say in a few words why it cannot be used; empty where it can."""
        try:
            manifest: Any = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return "not prepared"
        except (OSError, ValueError):
            return "its manifest cannot be read"
        if not isinstance(manifest, dict) or manifest.get("requirements") != list(self.requirements):
            return "its manifest is for other packages"
        return "" if self.python.is_file() else "the Python that it was made with is gone"

    def prepare(self, notify: Callable[[str], None], *, quiet: bool = False) -> None:
        """Fetch the packages' wheels, note their hashes, install them without the network, try them.

        All of it happens in a temporary folder beside the target, which is renamed when it is whole; what a
        killed run left behind is deleted by the next.

        Args:
            notify: told what is being done.
            quiet: without pip's progress on stderr.

        Raises:
            InputError: no network, no such version for this machine, or packages that do not work here.
            OutputError: the cache cannot be written.
        """
        root = self.folder.parent
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _alone(root):
                for left in root.glob(f"{TEMPORARY_PREFIX}*"):
                    shutil.rmtree(left, ignore_errors=True)
                if not self.problem():
                    return
                temporary = root / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
                try:
                    self._make(temporary, notify, quiet=quiet)
                    shutil.rmtree(self.folder, ignore_errors=True)
                    temporary.rename(self.folder)
                finally:
                    shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise OutputError(
                f"{self.name}: cannot write {root}: {error.strerror or error}. Free some space, or set "
                "MNIST_EXPORT_CACHE to another folder."
            ) from error

    def _make(self, folder: Path, notify: Callable[[str], None], *, quiet: bool) -> None:
        python, wheels = folder / "bin" / "python", folder / "wheels"
        notify(f"{self.name}: making a Python environment in {self.folder}")
        self._step("making the environment", [sys.executable, "-m", "venv", str(folder)], quiet=True)
        notify(f"{self.name}: fetching {', '.join(self.requirements[:1])} and what it needs")
        fetch = ["download", "--only-binary=:all:", "--no-deps", "--retries", "2", "--timeout", "20"]
        self._step(
            "fetching the packages",
            [str(python), *_PIP, *fetch, "-d", str(wheels), *self.requirements],
            quiet=quiet,
        )
        fetched = sorted(wheels.glob("*.whl"))
        sums = {path.name: sha256_file(path) for path in fetched}
        install = ["install", "--no-index", "--no-deps", *map(str, fetched)]
        notify(f"{self.name}: installing {len(fetched)} packages")
        self._step("installing the packages", [str(python), *_PIP, *install], quiet=True)
        self._step("trying the packages", [str(python), "-I", "-c", f"import {self.module}"], quiet=True)
        shutil.rmtree(wheels)
        manifest = {
            "schema_version": 1,
            "device": self.name,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "requirements": list(self.requirements),
            "wheels_sha256": sums,
        }
        write_atomic_one(folder / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())

    def _step(self, what: str, command: Sequence[str], *, quiet: bool) -> None:
        """Run a program; its output goes to stderr as progress, its errors into the message."""
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if quiet else 2,
                stderr=subprocess.PIPE,
                timeout=LIMIT_S,
                env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
                cwd=self.folder.parent,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{self.name}: {what} took over {LIMIT_S:g} s. Try again.") from error
        if done.returncode:
            raise InputError(f"{self.name}: {what} failed: {_reason(done.stderr)}")


def _reason(errors: bytes) -> str:
    """The line that tells most: pip's last ERROR, else the last line."""
    lines = [line.strip() for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("ERROR:")] or lines or ["it gave no reason"]
    text = told[-1].removeprefix("ERROR:").strip()[:400].rstrip(".")
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
