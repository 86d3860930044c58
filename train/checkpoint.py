"""The file that a killed training is taken up from: one .npz, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.files import write_atomic_one

if TYPE_CHECKING:
    from mnist_export.train.job import Job

_VERSION = 1
_STATE = "state"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """Everything that the next epoch depends on.

    Attributes:
        identity: of the job; a file of another job is not taken up.
        next_epoch: counted from 0.
        history: name to one number an epoch.
        callbacks: callback's name to its attributes.
        variables: the model's variables (weights and random state), then the optimizer's, in order.
        best: the weights of the best epoch so far.
    """

    identity: str
    next_epoch: int
    history: dict[str, list[float]]
    callbacks: dict[str, dict[str, Any]]
    variables: list[npt.NDArray[Any]]
    best: list[npt.NDArray[Any]]

    def save(self, path: Path) -> None:
        """Write it atomically.

        Raises:
            OutputError: the folder cannot be written or the disk is full.
        """
        state = {
            "version": _VERSION,
            "identity": self.identity,
            "next_epoch": self.next_epoch,
            "history": self.history,
            "callbacks": self.callbacks,
        }
        arrays = {_STATE: np.frombuffer(json.dumps(state).encode(), np.uint8)}
        arrays |= {f"v{number:05d}": value for number, value in enumerate(self.variables)}
        arrays |= {f"b{number:05d}": value for number, value in enumerate(self.best)}
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        write_atomic_one(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path, identity: str) -> Checkpoint | None:
        """Read a file back; None where there is none, it is damaged, or it belongs to another job."""
        damage = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
        with contextlib.suppress(*damage), np.load(path, allow_pickle=False) as archive:
            state = json.loads(archive[_STATE].tobytes())
            if state["version"] != _VERSION or state["identity"] != identity:
                return None
            names = sorted(archive.files)
            return cls(
                identity=identity,
                next_epoch=int(state["next_epoch"]),
                history={key: [float(v) for v in values] for key, values in state["history"].items()},
                callbacks=state["callbacks"],
                variables=[archive[name] for name in names if name.startswith("v")],
                best=[archive[name] for name in names if name.startswith("b")],
            )
        return None


def identity_of(job: Job) -> str:
    """Hex digest of what makes two trainings the same: name, data, recipe, seed and pixel rule.

    The trainer is not part of it: a training that ``fit`` began, ``loop`` can end.
    """
    described = json.dumps(
        {
            "name": job.name,
            "data": job.dataset.name,
            "images": job.dataset.train.images_sha256(),
            "recipe": job.recipe.to_json(),
            "seed": job.seed,
            "pixels": [job.pixels.lo, job.pixels.hi],
        },
        sort_keys=True,
    )
    return hashlib.sha256(described.encode()).hexdigest()
