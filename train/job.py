"""What a trainer receives and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mnist_export.core.pixels import InputRange
from mnist_export.data.request import to_stderr
from mnist_export.models.history import History
from mnist_export.models.recipe import Recipe
from mnist_export.train.devices import Strategy

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset

Notify = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        name: what is trained, for messages and files.
        build: makes the model; called inside of the strategy's scope.
        dataset: train and validation parts are used, test is not.
        recipe: how.
        seed: of everything that is random.
        pixels: what pixel values 0 and 255 become.
        checkpoint: file that a killed training resumes from; None keeps none.
        resume: whether to take up such a file where it fits.
        strategy: how training is spread over devices.
        gpu_memory_mib: cap for each GPU; None sets none.
        progress: whether bars are drawn on stderr.
        notify: receives one line an epoch.
        should_stop: asked after each epoch (from 0) with its validation accuracy; True ends the training.
    """

    name: str
    build: Callable[[], Any]
    dataset: Dataset
    recipe: Recipe
    seed: int = 0
    pixels: InputRange = field(default_factory=InputRange)
    checkpoint: Path | None = None
    resume: bool = True
    strategy: Strategy = Strategy.NONE
    gpu_memory_mib: int | None = None
    progress: bool = False
    notify: Notify = to_stderr
    should_stop: Callable[[int, float], bool] | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trainer gives back.

    Attributes:
        model: with the weights of the best epoch by validation accuracy.
        history: of all epochs, those before a resume too.
        seconds: sum of the epochs' wall times.
        device: where it ran, in words.
    """

    model: Any
    history: History
    seconds: float
    device: str


class Trainer(Protocol):
    """Trains a job."""

    def __call__(self, job: Job) -> Outcome:
        """Run it to its end, or to an interrupt that leaves a checkpoint."""
