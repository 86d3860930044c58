"""The parent's side of a benchmark's child process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core import errors
from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.runtime.timing.latency import Turn

CHILD: Final = (sys.executable, "-m", "mnist_export.runtime.bench.child")
_GRACE_S: Final = 5.0


class BenchProcess:
    """One child process with one model; a context manager that ends it.

    Args:
        label: what messages call it.
        threads: threads of one inference; also told to runtimes that read it from the environment.
        pin: hold the child on as many processors as it has threads.
        program: what to start; it follows `bench_protocol`.
    """

    def __init__(
        self, label: str, *, threads: int = 1, pin: bool = False, program: Sequence[str] = CHILD
    ) -> None:
        """Start the process; nothing is opened yet."""
        self.label = label
        self.threads = threads
        number = str(threads)
        self._process = subprocess.Popen(
            list(program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            env={
                **os.environ,
                "PYTHONSAFEPATH": "1",
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_NUM_INTRAOP_THREADS": number,
                "TF_NUM_INTEROP_THREADS": number,
                "OMP_NUM_THREADS": number,
            },
        )
        self.pinned = pin and self._pin()

    def _pin(self) -> bool:
        if not hasattr(os, "sched_setaffinity"):
            return False
        # before the child starts threads, which inherit it; the first processors serve interrupts
        chosen = sorted(os.sched_getaffinity(0))[-self.threads :]
        try:
            os.sched_setaffinity(self._process.pid, chosen)
        except OSError:
            return False
        return True

    def __enter__(self) -> BenchProcess:
        """Return itself; the process runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self.close()

    def close(self) -> None:
        """End the process; safe to call twice."""
        with contextlib.suppress(OSError):
            self._pipe(self._process.stdin).close()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe(self._process.stdout).close()

    def ask(self, do: str, **order: Any) -> dict[str, Any]:
        """Send an order and wait for its answer.

        Args:
            do: the order's name.
            order: its arguments, fit for JSON.

        Raises:
            MnistExportError: the child refused; the same kind of error, with the model's label.
            InputError: the child died.
        """
        try:
            stdin = self._pipe(self._process.stdin)
            stdin.write(json.dumps({"do": do, **order}) + "\n")
            stdin.flush()
            line = self._pipe(self._process.stdout).readline()
        except (BrokenPipeError, ConnectionResetError):
            line = ""
        if not line:
            code = self._process.wait()
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            raise InputError(
                f"{self.label}: its process {how} at '{do}'. The file is damaged, or crashes its runtime."
            )
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            kind = getattr(errors, answer.get("kind", ""), InputError)
            known = isinstance(kind, type) and issubclass(kind, MnistExportError)
            raise (kind if known and kind is not errors.MissingExtraError else InputError)(answer["error"])
        return answer

    def answers(self, images: Path, folder: Path) -> tuple[npt.NDArray[np.float32], float]:
        """Answer a file of images.

        Args:
            images: .npy, uint8 (n, H, W, C).
            folder: where the answers are left for a moment.

        Returns:
            float32 logits (n, classes), and the seconds that the child took.
        """
        target = folder / f"logits-{os.getpid()}-{self._process.pid}.npy"
        seconds = float(self.ask("answer", images=str(images), logits=str(target))["seconds"])
        logits: npt.NDArray[np.float32] = np.load(target, allow_pickle=False)
        target.unlink()
        return logits, seconds

    def turn(self, images: Path, *, limit_s: float) -> Turn:
        """Have the child prepare a batch and warm up, for `latency.interleave`.

        Args:
            images: .npy with the batch.
            limit_s: most seconds to spend on the warm-up.
        """
        warm = self.ask("batch", images=str(images), limit_s=limit_s)

        cpu_ns: list[float] = []

        def take(count: int) -> npt.NDArray[np.int64]:
            answer = self.ask("turn", count=count)
            cpu_ns.append(float(answer["cpu_ns"]) / count)
            return np.array(answer["ns"], np.int64)

        return Turn(
            take=take,
            warmup_runs=int(warm["runs"]),
            stable=bool(warm["stable"]),
            single_ns=max(1, int(warm["single_ns"])),
            cpu_ns=cpu_ns,
        )

    @staticmethod
    def _pipe(stream: IO[str] | None) -> IO[str]:
        if stream is None:
            raise InputError("benchmark: the child process has no pipe.")
        return stream
