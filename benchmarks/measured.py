"""Runs one command in a process of its own and measures it: time, and the most memory that it ever held."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a command did.

    Attributes:
        code: its exit code; negative where a signal ended it.
        output: what it wrote to stdout.
        errors: what it wrote to stderr.
        wall_s: seconds from start to end.
        cpu_s: processor seconds of the process and its threads.
        peak_bytes: the most resident memory.
    """

    code: int
    output: str
    errors: str
    wall_s: float
    cpu_s: float
    peak_bytes: int

    def message(self) -> str:
        """Why it failed, in a line: its last error, or what ended it."""
        lines = [line.strip() for line in self.errors.splitlines() if line.strip()]
        said = [line for line in lines if line.startswith("error:")] or lines[-1:]
        if self.code < 0:
            ended = signal.Signals(-self.code).name
            return f"ended by {ended} after {self.wall_s:,.0f} s at {self.peak_bytes / 2**30:.1f} GiB"
        return said[-1] if said else f"exit code {self.code}"


def measured(
    words: Sequence[str], *, timeout_s: float, python: Sequence[str] = (), limit_bytes: float = float("inf")
) -> Run:
    """Run ``python WORDS...`` to its end.

    Args:
        words: arguments of this interpreter, such as ``-m mnist_export.cli.export``.
        timeout_s: after which it is killed.
        python: the interpreter's words; this one where none are given.
        limit_bytes: resident memory beyond which it is killed.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # files, not pipes: nobody reads while wait4 waits
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            [*(python or [sys.executable]), *words], env=environment, stdout=output, stderr=errors
        )
        over = threading.Event()
        killer = threading.Thread(
            target=_kill_beyond, args=(process, started + timeout_s, limit_bytes, over), daemon=True
        )
        killer.start()
        _, status, usage = os.wait4(process.pid, 0)
        over.set()
        process.returncode = os.waitstatus_to_exitcode(status)
        unit = 1 if sys.platform == "darwin" else 1024
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        return Run(
            code=process.returncode,
            output=texts[0],
            errors=texts[1],
            wall_s=time.perf_counter() - started,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_bytes=usage.ru_maxrss * unit,
        )


def _kill_beyond(
    process: subprocess.Popen[bytes], until: float, limit_bytes: float, over: threading.Event
) -> None:
    """Kill a process that runs too long or holds too much memory."""
    while not over.wait(0.5):
        if time.perf_counter() > until or _resident_bytes(process.pid) > limit_bytes:
            os.kill(process.pid, signal.SIGKILL)
            return


def _resident_bytes(pid: int) -> int:
    """What a process holds now; 0 where this system does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
