"""Reads an HDF5 file whole in a child process with limits, before this process touches it.

The HDF5 library is native code. A damaged file can make it loop without end while it reads an attribute, and
others were found to crash it; what the child survives, this process survives.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.core.files import sha256_bytes
from mnist_export.core.known import is_known
from mnist_export.data.limits import bad_file as refuse

CPU_SECONDS: Final = 20
WALL_SECONDS: Final = 60
MEMORY_BYTES: Final = 2 << 30
_ADVICE = "The file is damaged or made to do harm; get it from its source again."


def try_hdf5(content: bytes, where: Path) -> None:
    """Walk through a file and read all of it in a child process.

    Args:
        content: the whole file, of which nothing was read yet.
        where: its name, for messages.

    Raises:
        InputError: the child refused it, crashed, or ran over a limit.
    """
    if is_known(sha256_bytes(content)):
        return
    try:
        done = subprocess.run(
            [sys.executable, "-m", "mnist_export.models.foreign.hdf5_trial", str(where)],
            input=content,
            capture_output=True,
            timeout=WALL_SECONDS,
            env={**os.environ, "PYTHONSAFEPATH": "1"},
            cwd=os.sep,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _refused(where, f"one that takes over {WALL_SECONDS} s") from error
    if done.returncode == 0:
        return
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    if done.returncode == InputError.exit_code and lines:
        raise InputError(lines[-1])
    number = -done.returncode
    if number in (signal.SIGXCPU, signal.SIGKILL):
        raise _refused(where, f"one that takes over {CPU_SECONDS} s of processor time")
    name = signal.Signals(number).name if number in signal.valid_signals() else f"exit code {done.returncode}"
    raise _refused(where, f"one that ends the HDF5 library ({name})")


def _refused(where: Path, found: str) -> InputError:
    return refuse(where, "an HDF5 file that can be read", found, _ADVICE)


def limit(size_bytes: int) -> None:
    """Lower this process's own limits: memory, processor time, no core file, no file writes."""
    import resource

    most = MEMORY_BYTES + 4 * size_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def read_all(content: bytes) -> None:
    """Read every attribute and data set; what cannot be read is passed over, as it raises later too."""
    import contextlib

    import h5py

    damage = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError)

    def visit(_: str, item: Any) -> None:
        with contextlib.suppress(*damage):
            dict(item.attrs.items())
        if isinstance(item, h5py.Dataset):
            with contextlib.suppress(*damage):
                item[()]

    with contextlib.suppress(*damage), h5py.File(io.BytesIO(content), "r") as file:
        visit("", file)
        file.visititems(visit)


def main(where: str) -> int:
    """Read a file from stdin; a refusal is one line on stdout and exit code 2."""
    from mnist_export.models.foreign.hdf5 import inspect_hdf5

    content = sys.stdin.buffer.read()
    limit(len(content))
    try:
        inspect_hdf5(content, where)
        read_all(content)
    except MnistExportError as error:
        sys.stdout.write(" ".join(str(error).split()) + "\n")
        return error.exit_code
    except MemoryError:
        sys.stdout.write(
            f"{where}: expected a file that fits into memory, found one that does not. {_ADVICE}\n"
        )
        return InputError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
