"""What machine and which packages a figure was measured with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from mnist_export.core.record import Record

PACKAGES: Final = ("mnist-export", "numpy", "ai-edge-litert", "onnxruntime", "onnx", "tensorflow", "keras",
                   "tf-keras", "tensorflow-model-optimization", "tf2onnx", "jax", "torch")  # fmt: skip
# Instruction sets that decide how fast int8 is, as Linux names them on x86-64 and on Arm.
INT8_FLAGS: Final = ("sse4_1", "avx2", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8", "asimd", "asimddp",
                     "i8mm", "sve")  # fmt: skip
_CPUINFO: Final = Path("/proc/cpuinfo")


@dataclass(frozen=True, kw_only=True)
class Environment(Record):
    """The machine and the versions beside every figure.

    Attributes:
        cpu: the processor's name.
        threads: threads of one inference, as asked for.
        versions: of Python, and of the installed packages of `PACKAGES`.
        cores: processors that this process may use.
        memory_bytes: of the machine, None where unknown.
        system: its name and release.
        instruction_sets: those of `INT8_FLAGS` that the processor has.
        timing: how the models shared the machine while latency was measured, such as ``in one process``.
        architecture: such as ``x86_64``; not part of a report.
    """

    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("threads", "cores", "memory_bytes")

    cpu: str
    threads: int
    versions: dict[str, str]
    cores: int | None = None
    memory_bytes: int | None = None
    system: str | None = None
    instruction_sets: tuple[str, ...] = ()
    timing: str | None = None
    architecture: str = field(default="", repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The form of golden files and of recorded measurements."""
        return {
            "cpu": self.cpu,
            "architecture": self.architecture,
            "cores": self.cores,
            "flags": list(self.instruction_sets),
            "memory_bytes": self.memory_bytes or 0,
            "os": self.system,
            "python": self.versions.get("python", ""),
            "threads": self.threads,
            "versions": {name: text for name, text in self.versions.items() if name != "python"},
        }


def usable_cores() -> int:
    """Processors that this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def busy_note() -> str:
    """A sentence where other programs keep the machine busy, else the empty string.

    Compared are the load average of the last minute and the processors that this process may use.
    """
    try:
        load = os.getloadavg()[0]
    except (OSError, AttributeError):
        return ""
    cores = usable_cores()
    if load <= cores + 1:
        return ""
    return (
        f"other programs kept the machine busy while times were measured (load {load:.1f} on {cores} "
        "processors): times, and ratios to models that use several threads, may be too high"
    )


def describe(*, threads: int = 1, timing: str = "") -> Environment:
    """Look at this machine; imports none of the packages that it names.

    Args:
        threads: threads of one inference, for the record.
        timing: how latency was measured; empty where it was not.
    """
    fields = _cpu_fields()
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return Environment(
        cpu=fields.get("model name") or fields.get("Model") or platform.processor() or "unknown",
        architecture=platform.machine(),
        cores=usable_cores(),
        instruction_sets=tuple(flag for flag in INT8_FLAGS if flag in flags),
        memory_bytes=_memory() or None,
        system=f"{platform.system()} {platform.release()}",
        threads=threads,
        versions={"python": platform.python_version(), **_versions()},
        timing=timing or None,
    )


def _cpu_fields() -> dict[str, str]:
    try:
        text = _CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
