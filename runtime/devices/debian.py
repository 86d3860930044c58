"""Debian's packages unpacked into a folder: no root rights, nothing installed, apt checks the signatures.

apt-get runs with a state of its own below the cache, so it neither reads nor changes what the machine has
installed, and can fetch for another processor.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mnist_export.core.errors import InputError
from mnist_export.core.files import sha256_file
from mnist_export.runtime.devices.kept import downloads_folder, run_step

RELEASE: Final = "trixie"  # Debian 13: the first with QEMU 10
MIRROR_VARIABLE: Final = "MNIST_EXPORT_DEBIAN"
"""Environment variable: the address of a Debian mirror, where the machine's own sources name none."""
_KEYRINGS: Final = tuple(
    Path("/usr/share/keyrings") / f"debian-archive-keyring.{ending}" for ending in ("gpg", "pgp")
)
_SOURCES: Final = Path("/etc/apt")
_ADDRESS: Final = re.compile(r"\b(?:https?|file|ftp)://\S+/debian/?(?=\s|$)", re.MULTILINE)

_CONFIGURATION: Final = """\
Dir::State "{folder}";
Dir::State::status "{folder}/status";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}";
Dir::Cache::archives "{folder}/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Etc::SourceList "{folder}/sources.list";
Dir::Etc::SourceParts "{folder}/none";
Dir::Etc::Preferences "{folder}/none";
Dir::Etc::PreferencesParts "{folder}/none";
Dir::Etc::main "{folder}/none";
Dir::Etc::parts "{folder}/none";
Dir::Log "{folder}";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "{user}";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
Acquire::Retries "2";
Debug::NoLocking "true";
"""


def why_no_debian() -> str:
    """Say in a few words why Debian's packages cannot be had here; empty where they can."""
    lacking = [tool for tool in ("apt-get", "dpkg-deb", "tar") if shutil.which(tool) is None]
    if lacking:
        return f"needs {' and '.join(lacking)}, as Debian and Ubuntu have"
    if _keyring() is None:
        return "needs Debian's keys; run: apt-get install debian-archive-keyring"
    if not _mirror():
        return f"needs a Debian mirror; set {MIRROR_VARIABLE} to the address of one"
    return ""


def machine_architecture() -> str:
    """What Debian calls this machine's processor.

    Raises:
        InputError: dpkg does not say.
    """
    try:
        done = subprocess.run(
            [_tool("dpkg"), "--print-architecture"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError("dpkg does not say this machine's architecture. Is dpkg installed?") from error
    return done.stdout.strip()


def fetch_packages(
    name: str,
    packages: Sequence[str],
    architecture: str,
    notify: Callable[[str], None],
    *,
    quiet: bool = False,
) -> list[Path]:
    """Fetch packages and all that they need; what a cut-off run fetched is kept and resumed.

    Args:
        name: the device's, for messages.
        packages: of Debian.
        architecture: as Debian calls it, such as ``arm64``.
        notify: told what is being done.
        quiet: without apt's progress on stderr.

    Returns:
        The ``.deb`` files, checked by apt against the release's signature.

    Raises:
        InputError: Debian's packages cannot be had here.
    """
    if why := why_no_debian():
        raise InputError(f"{name}: {why}.")
    folder = downloads_folder(f"debian-{RELEASE}-{architecture}")
    for part in ("lists/partial", "archives/partial", "none"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "status").write_text("", encoding="ascii")
    (folder / "sources.list").write_text(
        f"deb [signed-by={_keyring()}] {_mirror()} {RELEASE} main\n", encoding="utf-8"
    )
    user = "root" if os.geteuid() == 0 else ""
    configuration = folder / "apt.conf"
    configuration.write_text(
        _CONFIGURATION.format(folder=folder, architecture=architecture, user=user), encoding="utf-8"
    )
    variables = {"APT_CONFIG": str(configuration), "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
    notify(f"{name}: reading Debian's list of packages for {architecture}")
    _apt(name, "reading the list of packages", ["update"], folder, variables, quiet=quiet)
    for left in (folder / "archives").glob("*.deb"):
        left.unlink()  # of another device: only what this one needs is unpacked; partial ones are resumed
    notify(f"{name}: fetching {', '.join(packages)} and what they need, for {architecture}")
    command = ["install", "--download-only", "-y", "--no-install-recommends", *packages]
    _apt(name, "fetching the packages", command, folder, variables, quiet=quiet)
    return sorted((folder / "archives").glob("*.deb"))


def sums_of(fetched: Sequence[Path]) -> dict[str, str]:
    """Name of each file to its SHA-256, for a manifest."""
    return {path.name: sha256_file(path) for path in fetched}


def forget_downloads(architecture: str) -> None:
    """Delete what `fetch_packages` kept, once it is unpacked."""
    shutil.rmtree(downloads_folder(f"debian-{RELEASE}-{architecture}"), ignore_errors=True)


def unpack(name: str, package: Path, folder: Path, members: Sequence[str] = ()) -> None:
    """Unpack a package's files into a folder.

    Args:
        name: the device's, for messages.
        package: the ``.deb``.
        folder: where they go.
        members: paths within it that are wanted, such as ``./usr/bin/qemu-arm``; all where left out.

    Raises:
        InputError: the package is damaged.
    """
    if not members:
        run_step(name, "unpacking", ["dpkg-deb", "-x", str(package), str(folder)], quiet=True, folder=folder)
        return
    with subprocess.Popen(
        [_tool("dpkg-deb"), "--fsys-tarfile", str(package)], stdout=subprocess.PIPE
    ) as source:
        done = subprocess.run(
            [_tool("tar"), "-x", "-C", str(folder), *members],
            stdin=source.stdout,
            capture_output=True,
            text=True,
            check=False,
        )
        if source.stdout:
            source.stdout.close()
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
        raise InputError(f"{name}: unpacking {package.name} failed: {reason}.")


def _apt(
    name: str, what: str, command: list[str], folder: Path, variables: dict[str, str], *, quiet: bool
) -> None:
    run_step(name, what, ["apt-get", "-q", *command], quiet=quiet, folder=folder, variables=variables)


def _tool(name: str) -> str:
    return shutil.which(name) or name


def _keyring() -> Path | None:
    return next((path for path in _KEYRINGS if path.is_file()), None)


def _mirror() -> str:
    """The address of Debian's archive: stated, else the machine's own."""
    if stated := os.environ.get(MIRROR_VARIABLE):
        return stated
    lists = [_SOURCES / "sources.list", *sorted((_SOURCES / "sources.list.d").glob("*"))]
    for path in lists:
        if path.is_file():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
            if found := _ADDRESS.search(text):
                return found.group(0)
    return ""
