"""Loads and runs a foreign model once in a child process with limits, before this process does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from mnist_export.core.errors import InputError
from mnist_export.core.known import is_known

MEMORY_BYTES: Final = 2 << 30  # address space beside the model's own copies; runtimes need 600 MiB of it
MODEL_COPIES: Final = 4  # the file, the runtime's copy, repacked weights, room
CPU_SECONDS: Final = 30
WALL_SECONDS: Final = 60
_RUNTIMES: Final = {"litert": "LiteRT", "onnxruntime": "ONNX Runtime"}


def memory_limit(size_bytes: int) -> int:
    """Address space, in bytes, that a model file of a size may take while it is tried."""
    return MEMORY_BYTES + MODEL_COPIES * size_bytes


def is_vouched(path: Path, digest: str) -> bool:
    """Whether a manifest beside the file holds its hash, and this user's own record of exports too.

    Args:
        path: the model file.
        digest: its hex SHA-256.
    """
    if not is_known(digest):
        return False
    for manifest in (path.parent / "manifest.json", *sorted(path.parent.glob("*.manifest.json"))[:50]):
        try:
            if manifest.stat().st_size > 16 << 20:
                continue
            found: Any = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue
        if _holds(found, digest):
            return True
    return False


def _holds(value: Any, digest: str, depth: int = 0) -> bool:
    if isinstance(value, str):
        return value == digest
    if depth > 8:
        return False
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_holds(item, digest, depth + 1) for item in inner)


def try_in_child(content: bytes, *, runtime: str, label: str) -> None:
    """Load the model and run it, on one image and on a whole batch of noise, in a child process.

    Args:
        content: the file, which has passed no check yet; the child repeats all of them.
        runtime: ``litert`` or ``onnxruntime``.
        label: the file's name for messages.

    Raises:
        InputError: the child refused the file, crashed, or ran over a limit.
    """
    # started from the root folder, and with the safe path, so that no file lying about is imported
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mnist_export.runtime.runners.sandbox_child", runtime, label],
            input=content,
            capture_output=True,
            timeout=WALL_SECONDS,
            env=environment,
            cwd=os.sep,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _refused(label, runtime, f"it ran over {WALL_SECONDS} s") from error
    if done.returncode == 0:
        return
    if done.returncode < 0:
        number = -done.returncode
        name = signal.Signals(number).name if number in signal.valid_signals() else str(number)
        reason = {"SIGXCPU": f"it used over {CPU_SECONDS} s of processor time"}.get(
            name, f"it crashed ({name})"
        )
        raise _refused(label, runtime, reason)
    text = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode == InputError.exit_code and text:
        raise InputError(text[-1])
    errors = done.stderr.decode("utf-8", "replace").strip().splitlines()
    raise _refused(label, runtime, (errors or ["it ended without a word"])[-1][:300])


def _refused(label: str, runtime: str, reason: str) -> InputError:
    return InputError(
        f"{label}: {_RUNTIMES[runtime]} could not run it in a trial process: {reason}. The file is damaged "
        "or made to do harm; get it from its source again."
    )
