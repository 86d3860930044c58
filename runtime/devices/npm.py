"""Packages of the npm registry, unpacked into a folder without being installed: no script of theirs runs."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from mnist_export.core.errors import InputError
from mnist_export.core.files import sha256_file
from mnist_export.runtime.devices.kept import run_step

_MOST_BYTES: Final = 1 << 30


def why_no_npm() -> str:
    """Say in a few words why npm's packages cannot be had; empty where they can."""
    lacking = [tool for tool in ("npm", "node") if shutil.which(tool) is None]
    return f"needs {' and '.join(lacking)}; run: apt-get install nodejs npm" if lacking else ""


def fetch_npm(name: str, packages: Sequence[str], folder: Path, *, quiet: bool = False) -> dict[str, str]:
    """Fetch packages and unpack each into ``folder`` under its own name.

    Args:
        name: the device's, for messages.
        packages: each with its version, such as ``onnxruntime-web@1.30.0``.
        folder: where the packages go.
        quiet: without npm's progress on stderr.

    Returns:
        Name of each fetched archive to its SHA-256; npm has checked it against the registry's own.

    Raises:
        InputError: npm is missing, there is no network, or no such version.
    """
    if why := why_no_npm():
        raise InputError(f"{name}: {why}.")
    archives = folder / "archives"
    archives.mkdir()
    command = ["npm", "pack", "--loglevel=error", "--ignore-scripts", "--fetch-retries=2", *packages]
    run_step(name, "fetching the packages", command, quiet=quiet, folder=archives)
    sums = {path.name: sha256_file(path) for path in sorted(archives.glob("*.tgz"))}
    for package in packages:
        own, _, version = package.rpartition("@")
        archive = archives / f"{own.lstrip('@').replace('/', '-')}-{version}.tgz"
        try:
            _unpack(archive, folder / own)
        except (OSError, tarfile.TarError, EOFError) as error:
            raise InputError(f"{name}: {archive.name} cannot be unpacked ({error}). Try again.") from error
    shutil.rmtree(archives)
    return sums


def _unpack(archive: Path, target: Path) -> None:
    """Plain files only, without the first folder of their paths."""
    total = 0
    with tarfile.open(archive) as files:
        for member in files:
            path = PurePosixPath(member.name)
            if not member.isfile() or path.is_absolute() or ".." in path.parts:
                continue
            total += member.size
            if total > _MOST_BYTES:
                raise tarfile.TarError(f"over {_MOST_BYTES >> 20} MiB")
            place = target.joinpath(*path.parts[1:])
            place.parent.mkdir(parents=True, exist_ok=True)
            source = files.extractfile(member)
            if source is not None:
                with place.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
