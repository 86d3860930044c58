"""The child process of `sandbox`: limits itself, then loads and runs the model that arrives on stdin."""

from __future__ import annotations

import sys

import numpy as np

from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.runtime.opening import RUNTIMES
from mnist_export.runtime.sandbox import CPU_SECONDS, MEMORY_BYTES


def limit() -> None:
    """Lower this process's own limits: memory, processor time, no core file, no file writes."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def main(runtime: str, label: str) -> int:
    """Read a model from stdin, check, load and run it; a refusal is one line on stdout and exit code 2."""
    content = sys.stdin.buffer.read()
    try:
        factory = RUNTIMES.get(runtime)
        limit()
        with factory(content, label=label) as runner:
            tail = [max(size, 1) for size in runner.input.shape[1:]]
            output = runner.invoke(np.full((1, *tail), 1, runner.input.dtype))
            if output.dtype.kind == "f" and not np.all(np.isfinite(output)):
                raise InputError(f"{label}: the answer to a grey image is not finite. The model is damaged.")
    except MnistExportError as error:
        sys.stdout.write(" ".join(str(error).split()) + "\n")
        return error.exit_code
    except MemoryError:
        sys.stdout.write(f"{label}: needs more than {MEMORY_BYTES >> 30} GiB of memory, which is refused.\n")
        return InputError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
