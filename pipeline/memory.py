"""Whether a run will fit in memory, said before it starts.

The figures are estimates from above, from the model's file and from its graph: a run that is killed half-way
leaves neither files nor a reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mnist_export.core.batches import BUDGET_BYTES
from mnist_export.core.errors import InputError
from mnist_export.core.graph.memory import all_activation_bytes, constant_bytes
from mnist_export.core.memory import available_bytes
from mnist_export.runtime.timing.memory import resident_bytes

if TYPE_CHECKING:
    from mnist_export.core.graph import Graph
    from mnist_export.pipeline.jobs.job import Job

_GIB: Final = 1 << 30
_LIBRARIES: Final = 800 << 20
"""TensorFlow, Keras and both runtimes, loaded."""
_COPIES_LOADED: Final = 2
"""Of a model's file: its arrays while they are read, and the layers' variables."""
_COPIES_CONVERTING: Final = 14
"""Of the weights, in TensorFlow's converter: measured, ResNet50V2."""
_COPIES_QUANTIZING: Final = 8
"""Of a graph's constants, while one form is proved equal to another: both graphs, a file of each (twice, as
its buffer doubles) and an interpreter of each, with weights packed for multiplication."""
_TRAINED: Final = 3
"""Of an activation in training: its value, its gradient and what the gradient is made from."""


@dataclass(frozen=True, kw_only=True)
class Needed:
    """What a run will take beyond what it has taken already, in bytes.

    Attributes:
        weights: copies of the weights, from here to the end of the run.
        activations: of a batch.
        libraries: code that is not loaded yet.
    """

    weights: int
    activations: int = 0
    libraries: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.activations + self.libraries

    def parts(self) -> str:
        """In words."""
        named = {"weights": self.weights, "activations": self.activations, "libraries": self.libraries}
        return ", ".join(f"{name} {value / _GIB:.1f}" for name, value in named.items() if value)


def before_loading(path: str) -> Needed:
    """What a run takes as far as the size of the model's file tells; nothing for a name."""
    size = _size(Path(path))
    if not size:
        return Needed(weights=0)
    copies = _COPIES_LOADED + max(_COPIES_CONVERTING, _COPIES_QUANTIZING)
    return Needed(weights=copies * size, activations=BUDGET_BYTES, libraries=_LIBRARIES)


def _size(path: Path) -> int:
    if path.is_dir():  # a SavedModel: its weights are in files of one folder below
        return sum(file.stat().st_size for file in path.glob("*/*") if file.is_file())
    return path.stat().st_size if path.is_file() else 0


def before_quantizing(graph: Graph, *, training_batch: int = 0) -> Needed:
    """What it takes to quantize a graph, write its files and check them.

    Args:
        graph: the float graph.
        training_batch: images a step of a training on the way; 0 without one.
    """
    each = all_activation_bytes(graph)
    return Needed(
        weights=_COPIES_QUANTIZING * constant_bytes(graph),
        activations=max(BUDGET_BYTES, each, _TRAINED * each * training_batch),
    )


def require_memory(
    job: Job, needed: Needed, doing: str, *, available: Callable[[], int | None] = available_bytes
) -> None:
    """Refuse what would not fit.

    Args:
        job: its ``max_memory`` overrules what the system says is free.
        needed: the estimate.
        doing: what is about to start.
        available: asks the system.

    Raises:
        InputError: it does not fit; the message has both figures.
    """
    taken = resident_bytes()
    free = available()
    stated = job.max_memory is not None
    limit = None if free is None else free + taken
    if job.max_memory is not None:
        limit = int(job.max_memory * _GIB)
    whole = taken + needed.total
    if limit is None or whole <= limit:
        return
    found = f"`max_memory` allows {limit / _GIB:.1f}" if stated else f"{limit / _GIB:.1f} are there for it"
    raise InputError(
        f"{job.model}: {doing} takes about {whole / _GIB:.1f} GiB ({needed.parts()}, taken already "
        f"{taken / _GIB:.1f}), and {found}. End other programs, give the container more, use a smaller model "
        f"or smaller pictures, or insist with `max_memory={whole / _GIB + 0.1:.1f}`."
    )
