"""Resident memory of this process, in bytes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

_STATUS: Final = Path("/proc/self/status")


def resident_bytes() -> int:
    """Memory that is resident now; where the system does not say, the peak."""
    return _field("VmRSS") or _peak_from_usage()


def peak_resident_bytes() -> int:
    """The most that was ever resident since this program started."""
    # VmHWM before ru_maxrss: the latter survives exec, so a child would start with its parent's peak
    return _field("VmHWM") or _peak_from_usage()


def _field(name: str) -> int:
    try:
        text = _STATUS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    return 0


def _peak_from_usage() -> int:
    try:
        import resource
    except ImportError:
        return 0
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # kilobytes on Linux, bytes on macOS
    return used if sys.platform == "darwin" else used * 1024
