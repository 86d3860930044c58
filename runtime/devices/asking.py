"""The parent's side of a device's child process: writes the order, waits, checks what comes back."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.scratch import scratch_folder
from mnist_export.runtime.devices import serving
from mnist_export.runtime.devices.device import Answer, Question

MEMORY_BYTES: Final = 6 << 30  # address space: runtimes reserve far more than they use
MODEL_COPIES: Final = 8
BATCH_COPIES: Final = 4
CPU_SECONDS: Final = 900
WALL_SECONDS: Final = 900
OUTPUT_BYTES: Final = 64 << 20
_LAST: Final = 4096


def ask(
    device: str,
    command: Sequence[str],
    opening: Callable[..., Any],
    question: Question,
    *,
    wall_s: float = WALL_SECONDS,
) -> Answer:
    """Have another Python open a file and answer a batch, under limits of memory, time and file size.

    Args:
        device: its name, for messages.
        command: the interpreter that has the runtime, and what it takes to start it.
        opening: the function whose source is sent; see `serving`.
        question: the file and the batch.
        wall_s: most seconds to wait.

    Raises:
        UnsupportedError: the runtime refuses the file.
        InputError: the child crashed, passed a limit, or its answer has another shape or type.
    """
    with scratch_folder() as folder:
        order = _order(folder, opening, question, None, wall_s)
        _run(device, command, order, folder, question, wall_s)
        values = _values(device, folder / "values.npy", question)
        facts = _facts(device, folder / "facts.json", question)
    arena = facts.get("arena_bytes")
    told = facts.get("figures")
    figures = {str(name): str(text)[:400] for name, text in told.items()} if isinstance(told, dict) else {}
    counted = arena if isinstance(arena, int) and arena > 0 else None
    return Answer(values=values, arena_bytes=counted, figures=figures)


def ask_tensors(
    device: str,
    command: Sequence[str],
    opening: Callable[..., Any],
    question: Question,
    indices: Sequence[int],
    *,
    wall_s: float = WALL_SECONDS,
) -> list[npt.NDArray[Any]]:
    """Have another Python run a batch and show what tensors inside of the file hold.

    Args:
        device: its name, for messages.
        command: the interpreter that has the runtime.
        opening: as for `ask`; called with the tensors' places, its ``call`` gives one array for each.
        question: the file and the batch.
        indices: the tensors' places in the file.
        wall_s: most seconds to wait.

    Returns:
        One array of shape (n, ...) for each.

    Raises:
        UnsupportedError: the runtime refuses the file or does not keep the tensors.
        InputError: the child crashed or passed a limit.
    """
    with scratch_folder() as folder:
        order = _order(folder, opening, question, list(indices), wall_s)
        _run(device, command, order, folder, question, wall_s)
        found = []
        for place in range(len(indices)):
            try:
                found.append(np.load(folder / f"values.npy.{place}.npy", allow_pickle=False))
            except (OSError, ValueError, EOFError) as error:
                raise _crashed(device, question, "it left no answer") from error
    return found


def _order(
    folder: Path, opening: Callable[..., Any], question: Question, tensors: list[int] | None, wall_s: float
) -> Path:
    """Write what the child needs into its folder."""
    model, order = folder / f"model.{question.format}", folder / "order.json"
    model.write_bytes(question.content)
    np.save(folder / "batch.npy", question.batch, allow_pickle=False)
    source = textwrap.dedent(inspect.getsource(opening))
    (folder / "opening.py").write_text(f"from typing import Any\n{source}", encoding="utf-8")
    copies = MODEL_COPIES * len(question.content) + BATCH_COPIES * question.batch.nbytes
    orders = {
        "model": str(model),
        "opening": str(folder / "opening.py"),
        "function": opening.__name__,
        "batch": str(folder / "batch.npy"),
        "values": str(folder / "values.npy"),
        "facts": str(folder / "facts.json"),
        "tensors": tensors,
        "limits": {
            "memory_bytes": MEMORY_BYTES + copies,
            "cpu_s": int(max(CPU_SECONDS, wall_s)),
            "file_bytes": OUTPUT_BYTES,
        },
    }
    order.write_text(json.dumps(orders), encoding="utf-8")
    return order


def _run(
    device: str, command: Sequence[str], order: Path, folder: Path, question: Question, wall_s: float
) -> None:
    out, err = folder / "stdout", folder / "stderr"
    try:
        with out.open("wb") as stdout, err.open("wb") as stderr:
            done = subprocess.run(
                [*command, "-I", str(Path(serving.__file__).resolve()), str(order)],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                timeout=wall_s,
                env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
                cwd=folder,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise _crashed(device, question, f"it ran over {wall_s:g} s") from error
    except OSError as error:
        raise InputError(f"{device}: cannot start {command[0]} ({error.strerror or error}).") from error
    if done.returncode == serving.REFUSED:
        reason = _last_line(out) or "it gave no reason"
        raise UnsupportedError(f"{question.label}: {device} cannot run it ({reason[:400]}).")
    if done.returncode < 0:
        number = -done.returncode
        name = signal.Signals(number).name if number in signal.valid_signals() else str(number)
        limits = {
            "SIGXCPU": f"it used over {max(CPU_SECONDS, wall_s):g} s of processor time",
            "SIGXFSZ": f"it wrote over {OUTPUT_BYTES >> 20} MiB",
        }
        raise _crashed(device, question, limits.get(name, f"it crashed ({name})"))
    if done.returncode:
        raise _crashed(device, question, _last_line(err) or f"it ended with code {done.returncode}")


def _values(device: str, path: Path, question: Question) -> npt.NDArray[Any]:
    try:
        values: npt.NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise _crashed(device, question, "it left no answer") from error
    expected = (len(question.batch), question.classes)
    if values.shape != expected or values.dtype != question.output_type:
        raise InputError(
            f"{question.label}: expected {question.output_type} of shape {expected} from {device}, found "
            f"{values.dtype} of shape {values.shape}."
        )
    return values


def _facts(device: str, path: Path, question: Question) -> dict[str, Any]:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _crashed(device, question, "it left no report") from error
    return found if isinstance(found, dict) else {}


def _last_line(path: Path) -> str:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - _LAST))
        lines = stream.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:400] if lines else ""


def _crashed(device: str, question: Question, reason: str) -> InputError:
    return InputError(f"{question.label}: {device} could not run it in its process: {reason}.")
