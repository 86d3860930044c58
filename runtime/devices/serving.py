"""The script that a device's own Python runs: limits itself, opens a file, answers a batch.

It stands alone (standard library and NumPy), for nothing of this project is installed there. Beside it lies
``opening.py``, the source of one function ``(path, sample) -> (call, size, facts)``: ``call`` answers a piece
of ``size`` inputs, ``facts()`` gives what the runtime has to report, as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

REFUSED = 3


def limit(*, memory_bytes: int, cpu_s: int, file_bytes: int) -> None:
    """Lower this process's own limits, and leave no core file.

    Args:
        memory_bytes: address space.
        cpu_s: seconds of processor time.
        file_bytes: largest file that it may write.
    """
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (allowed, allowed))


def answers(call: Any, size: int, batch: Any) -> Any:
    """Answer a batch in pieces of one size; the last is filled up with its first input."""
    parts = []
    for start in range(0, len(batch), size):
        piece = batch[start : start + size]
        missing = size - len(piece)
        filled = np.concatenate([piece, np.repeat(piece[:1], missing, axis=0)]) if missing else piece
        # a copy: some runtimes hand out their own buffer, which the next call overwrites
        parts.append(np.array(call(np.ascontiguousarray(filled)))[: len(piece)])
    return np.concatenate(parts)


def tensors(call: Any, size: int, batch: Any) -> Any:
    """The tensors that ``call`` gives for each piece, each joined over the pieces."""
    parts = []
    for start in range(0, len(batch), size):
        piece = batch[start : start + size]
        missing = size - len(piece)
        filled = np.concatenate([piece, np.repeat(piece[:1], missing, axis=0)]) if missing else piece
        parts.append([np.array(value)[: len(piece)] for value in call(np.ascontiguousarray(filled))])
    return [np.concatenate(values) for values in zip(*parts)]  # noqa: B905 - one call's count, and Python 3.9


def main(order_path: str) -> int:
    """Carry out an order; a refusal is one line on stdout and its own exit code.

    Args:
        order_path: JSON with the paths and the limits.
    """
    order = json.loads(Path(order_path).read_text(encoding="utf-8"))
    limit(**order["limits"])
    scope: dict[str, Any] = {}
    source = Path(order["opening"]).read_text(encoding="utf-8")
    exec(compile(source, order["opening"], "exec"), scope)  # noqa: S102 - our own file, written a moment ago
    batch = np.load(order["batch"], allow_pickle=False)
    try:
        opening, shown = scope[order["function"]], order["tensors"]
        more = () if shown is None else (shown,)
        call, size, facts = opening(order["model"], batch[:1], *more)
        values = (answers if shown is None else tensors)(call, int(size), batch)
        found = facts()
    except Exception as error:  # noqa: BLE001 - runtimes raise what they like; the parent says it in one line
        sys.stdout.write(f"{type(error).__name__}: {' '.join(str(error).split())}"[:2000] + "\n")
        return REFUSED
    if shown is None:
        np.save(order["values"], values, allow_pickle=False)
    else:
        for place, value in enumerate(values):
            np.save(f"{order['values']}.{place}.npy", value, allow_pickle=False)
    Path(order["facts"]).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
