"""How much more memory this process may take, and giving some back."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
GROUPS: Final = Path("/sys/fs/cgroup")
_NO_LIMIT: Final = 1 << 60


def available_bytes(proc: Path = PROC, groups: Path = GROUPS) -> int | None:
    """Memory that is free for this process, in bytes; None where the system does not say.

    The least of what the machine has available and what each control group above this process still allows;
    a group's cached files count as free, as the kernel drops them first.

    Args:
        proc: where the kernel describes processes.
        groups: where it describes control groups, of version 1 or 2.
    """
    found = [_of_machine(proc)]
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if not controllers:
            found += _of_groups(groups, path, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            found += _of_groups(groups / "memory", path, names)
    known = [value for value in found if value is not None]
    return max(0, min(known)) if known else None


def give_back() -> None:
    """Give freed memory back to the system, where the C library can: TensorFlow leaves much of it."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):  # not glibc: it gives back by itself or not at all
        return


def _of_machine(proc: Path) -> int | None:
    for line in _text(proc / "meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _of_groups(root: Path, path: str, names: tuple[str, str, str]) -> list[int]:
    """What a group and those above it still allow."""
    limit_name, usage_name, cached = names
    parts = [part for part in path.split("/") if part not in {"", ".."}]
    found = []
    for depth in range(len(parts), -1, -1):
        folder = root.joinpath(*parts[:depth])
        limit, usage = _text(folder / limit_name).strip(), _text(folder / usage_name).strip()
        if not limit.isdigit() or not usage.isdigit() or int(limit) >= _NO_LIMIT:
            continue
        dropped = [
            row.split()[1] for row in _text(folder / "memory.stat").splitlines() if row.startswith(cached)
        ]
        found.append(int(limit) - int(usage) + (int(dropped[0]) if dropped else 0))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
