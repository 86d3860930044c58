"""QEMU's user mode: another processor's programs on this one. Debian 13's, or the machine's own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mnist_export.core.errors import InputError
from mnist_export.runtime.devices import debian
from mnist_export.runtime.devices.kept import KeptFolder

OLDEST: Final = 8
"""QEMU 7.2 dies with SIGSEGV in LiteRT's and ONNX Runtime's code; 10.0 runs them."""
PROCESSORS: Final = ("aarch64", "arm", "riscv32", "s390x")
_MEMORY_KIB: Final = 16 << 20  # address space: what the guest has mapped lies within


def kept() -> KeptFolder:
    """Where the fetched QEMU is, or will be."""
    return KeptFolder(name="qemu", contents=("qemu-user", debian.RELEASE, *PROCESSORS))


def why_no_emulator(processor: str) -> str:
    """Say in a few words why there is none; empty where there is.

    Args:
        processor: as QEMU calls it.
    """
    return "" if _find(processor) else _why_not(processor)


def emulator(processor: str) -> Path:
    """The program that runs another processor's.

    Raises:
        InputError: there is none that is new enough.
    """
    found = _find(processor)
    if found is None:
        raise InputError(f"qemu-{processor}: {_why_not(processor)}.")
    return found


def bounded(command: list[str]) -> list[str]:
    """The command with its address space limited: QEMU leaves its guest's own limit of memory aside."""
    return ["/bin/sh", "-c", f'ulimit -v {_MEMORY_KIB}; exec "$@"', "sh", *command]


def prepare_emulator(
    name: str, processor: str, notify: Callable[[str], None], *, quiet: bool = False
) -> None:
    """Fetch QEMU where the machine has none that is new enough.

    Args:
        name: the device's, for messages.
        processor: that is needed.
        notify: told what is being done.
        quiet: without progress on stderr.

    Raises:
        InputError: it cannot be had.
    """
    if _find(processor):
        return
    if why := debian.why_no_debian():
        raise InputError(f"{name}: {_why_not(processor)}, and it cannot be fetched: {why}.")

    def fill(folder: Path) -> dict[str, Any]:
        architecture = debian.machine_architecture()
        fetched = debian.fetch_packages(name, ["qemu-user"], architecture, notify, quiet=quiet)
        package = next(path for path in fetched if path.name.startswith("qemu-user_"))
        members = [f"./usr/bin/qemu-{processor}" for processor in PROCESSORS]
        debian.unpack(name, package, folder, members)
        sums = debian.sums_of([package])
        debian.forget_downloads(architecture)
        return {"packages_sha256": sums}

    kept().make(fill)
    emulator(processor)


def version_of(program: Path) -> int:
    """QEMU's major version; 0 where it does not say."""
    try:
        done = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r"version (\d+)\.", done.stdout)
    return int(found[1]) if found else 0


def _find(processor: str) -> Path | None:
    own = shutil.which(f"qemu-{processor}") or shutil.which(f"qemu-{processor}-static")
    if own and version_of(Path(own)) >= OLDEST:
        return Path(own)
    folder = kept()
    fetched = folder.path / "usr" / "bin" / f"qemu-{processor}"
    return fetched if not folder.problem() and fetched.is_file() else None


def _why_not(processor: str) -> str:
    own = shutil.which(f"qemu-{processor}") or shutil.which(f"qemu-{processor}-static")
    if own:
        return f"expected QEMU {OLDEST} or later, found {version_of(Path(own)) or 'an unknown one'} ({own})"
    return "not prepared"
