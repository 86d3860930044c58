"""The child process of `sandbox`: limits itself, then loads and runs the model that arrives on stdin."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.runtime.runners.opening import RUNTIMES
from mnist_export.runtime.runners.runner import Runner
from mnist_export.runtime.runners.sandbox import CPU_SECONDS, memory_limit


def limit(size_bytes: int) -> None:
    """Lower this process's own limits: memory, processor time, no core file, no file writes.

    Args:
        size_bytes: of the model file.
    """
    import resource

    most = memory_limit(size_bytes)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main(runtime: str, label: str) -> int:
    """Read a model from stdin, check, load and run it; a refusal is one line on stdout and exit code 2."""
    content = sys.stdin.buffer.read()
    try:
        factory = RUNTIMES.get(runtime)
        limit(len(content))
        with factory(content, label=label) as runner:
            for count in (1, runner.preferred_batch):
                output = runner.invoke(_noise(runner, count))
                if output.dtype.kind == "f" and not np.all(np.isfinite(output)):
                    raise InputError(f"{label}: the answer to noise is not finite. The model is damaged.")
    except MnistExportError as error:
        sys.stdout.write(" ".join(str(error).split()) + "\n")
        return error.exit_code
    except MemoryError:
        most = memory_limit(len(content)) >> 20
        sys.stdout.write(f"{label}: needs more than {most:,} MiB of memory, which is refused.\n")
        return InputError.exit_code
    return 0


def _noise(runner: Runner, count: int) -> npt.NDArray[Any]:
    """A native batch of seeded noise over the whole range of the input's type; black first, white second."""
    shape = (count, *(max(size, 1) for size in runner.input.shape[1:]))
    dtype = runner.input.dtype
    low, high = (0.0, 1.0) if dtype.kind == "f" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    batch = np.random.default_rng(0).uniform(low, high, shape).astype(dtype)
    for row, value in zip(batch, (low, high), strict=False):
        row[...] = value
    return batch


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
