"""Trials in a process of their own, one for each worker.

A worker's other threads draw from Python's random generator as Keras does, so that a trial would not repeat
beside them; and what crashes in native code ends the child, not the worker.
"""

from __future__ import annotations

import contextlib
import pickle
import struct
import subprocess
import sys
import threading
from typing import IO, Any, Final

from mnist_export.search.trial import TrialResult, TrialSpec

_LENGTH: Final = struct.Struct("<Q")
_CODE: Final = "from mnist_export.search.apart import serve; serve()"
_lock = threading.Lock()
_child: subprocess.Popen[bytes] | None = None


def run_apart(spec: TrialSpec) -> TrialResult:
    """Do one trial in this worker's child, which is started when it is first needed or has died."""
    global _child  # noqa: PLW0603 - one child for each process
    with _lock:
        if _child is None or _child.poll() is not None:
            _child = subprocess.Popen(
                [sys.executable, "-c", _CODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        try:
            _send(_child.stdin, spec)
            result = _receive(_child.stdout)
        except (OSError, EOFError):
            code = _child.wait()
            _child = None
            return TrialResult(ended="failed", why=f"its process died ({_ending(code)})")
        except BaseException:
            _child.kill()  # it is in the middle of a trial that nobody waits for
            _child = None
            raise
        return result  # type: ignore[no-any-return]


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    import signal

    with contextlib.suppress(ValueError):
        return signal.Signals(-code).name
    return f"signal {-code}"


def serve() -> None:
    """Answer trials until the worker closes the pipe; what else is written to stdout goes to stderr."""
    import os

    from mnist_export.search.trial import run_trial

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            spec = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _send(answers, run_trial(spec))


def _send(pipe: IO[bytes] | None, value: Any) -> None:
    content = pickle.dumps(value)
    if pipe is None:
        raise EOFError
    pipe.write(_LENGTH.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _receive(pipe: IO[bytes] | None) -> Any:
    """The next value; both ends are processes of this program, on one machine."""
    head = pipe.read(_LENGTH.size) if pipe is not None else b""
    if len(head) < _LENGTH.size or pipe is None:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    content = pipe.read(length)
    if len(content) < length:
        raise EOFError
    return pickle.loads(content)  # noqa: S301
