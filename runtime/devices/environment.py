"""A Python environment of a device's own in the cache: fetched whole, tried, then renamed into place."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mnist_export.core.files import sha256_file
from mnist_export.runtime.devices.kept import KeptFolder, run_step

PIP: Final = ("-m", "pip", "--disable-pip-version-check", "--no-input")


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
    def kept(self) -> KeptFolder:
        """The folder of the cache."""
        version = f"{sys.implementation.cache_tag}-{platform.machine()}"
        return KeptFolder(name=self.name, contents=self.requirements, version=version, key="requirements")

    @property
    def folder(self) -> Path:
        """Where the environment is, or will be."""
        return self.kept.path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def problem(self) -> str:
        """Say in a few words why it cannot be used; empty where it can."""
        if why := self.kept.problem():
            return why
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
        self.kept.make(lambda folder: self._make(folder, notify, quiet=quiet), ready=self.problem)

    def _make(self, folder: Path, notify: Callable[[str], None], *, quiet: bool) -> dict[str, Any]:
        python, wheels = folder / "bin" / "python", folder / "wheels"
        notify(f"{self.name}: making a Python environment in {self.folder}")
        self._step("making the environment", [sys.executable, "-m", "venv", str(folder)], quiet=True)
        notify(f"{self.name}: fetching {', '.join(self.requirements[:1])} and what it needs")
        fetch = ["download", "--only-binary=:all:", "--no-deps", "--retries", "2", "--timeout", "20"]
        self._step(
            "fetching the packages",
            [str(python), *PIP, *fetch, "-d", str(wheels), *self.requirements],
            quiet=quiet,
        )
        fetched = sorted(wheels.glob("*.whl"))
        sums = {path.name: sha256_file(path) for path in fetched}
        install = ["install", "--no-index", "--no-deps", *map(str, fetched)]
        notify(f"{self.name}: installing {len(fetched)} packages")
        self._step("installing the packages", [str(python), *PIP, *install], quiet=True)
        self._step("trying the packages", [str(python), "-I", "-c", f"import {self.module}"], quiet=True)
        shutil.rmtree(wheels)
        return {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "wheels_sha256": sums,
        }

    def _step(self, what: str, command: list[str], *, quiet: bool) -> None:
        run_step(self.name, what, command, quiet=quiet, folder=self.folder.parent)
