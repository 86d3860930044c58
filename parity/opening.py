"""Opens an original and its candidates with their data, and tells what their outputs are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.core.errors import InputError
from mnist_export.core.registry import unknown_name
from mnist_export.parity.choosing import AUTO, choose_head
from mnist_export.runtime.runners.golden import GoldenRunner
from mnist_export.runtime.runners.opening import open_runner, runtime_of

if TYPE_CHECKING:
    from mnist_export.core.pixel_rules import PixelRule
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.foreign.beside import Beside
    from mnist_export.parity.heads import Head
    from mnist_export.runtime.runners.runner import Runner

Shape = tuple[int | None, ...] | None
LoadData = Callable[[str | None, Callable[[], Shape]], "Dataset"]
"""From the data set's name in a recording, and what asks for the shape of one input, to the data."""


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How models are opened, and what their outputs are said to be.

    Attributes:
        threads: of one inference.
        kernels: of LiteRT or ONNX Runtime: for the reference, and for the candidates.
        input_range: what pixels 0 and 255 become; None takes the files' own, else 0..1.
        trust: open SavedModels, and files without a trial run first.
        beside: code of a Keras model's own layers, or the architecture of a file of weights.
        head: what the outputs are, see `models.judging.HEADS`.
        threshold: of sigmoids; None takes the files' own, else 0.5.
        max_error: largest allowed error of outputs that are numbers.
        notify: told what is loaded.
    """

    threads: int = 1
    kernels: tuple[str, str] = ("default", "default")
    input_range: PixelRule | None = None
    trust: bool = False
    beside: Beside | None = None
    head: str = AUTO
    threshold: tuple[float, ...] | None = None
    max_error: float | None = None
    notify: Callable[[str], None] = field(default=_silent)


@dataclass(frozen=True, kw_only=True, eq=False)
class Opened:
    """What is compared.

    Attributes:
        reference: the original.
        candidates: in the order given.
        dataset: what they are compared on, its y as the outputs are.
        head: what the outputs are.
    """

    reference: Runner
    candidates: tuple[Runner, ...]
    dataset: Dataset
    head: Head


def is_keras(spec: str) -> bool:
    """Whether a path or name will be run by Keras."""
    path = Path(spec)
    return runtime_of(path) == "keras" if path.exists() else not path.suffix


def open_all(
    stack: ExitStack, reference: str, candidates: Sequence[str], load: LoadData, how: Opening
) -> Opened:
    """Open a reference and its candidates.

    Files come first, as they say with which threshold they were written; then the data; Keras models last,
    since what their outputs are, and what size those of any size take, depends on the data.

    Args:
        stack: closes the runners.
        reference: a file of any kind, or the name of an architecture.
        candidates: files.
        load: gives the data.
        how: the options.

    Raises:
        InputError: no such file, one that is refused, or data that it is not for.
    """
    path = Path(reference)
    if not path.exists() and (path.suffix or "/" in reference):
        raise InputError(f"{reference}: no such file. Check the path.")
    found: dict[int, Runner] = {}
    for place, spec in enumerate((reference, *candidates)):
        if not is_keras(spec):
            found[place] = stack.enter_context(_file(spec, how, how.kernels[min(place, 1)]))
    first = found.get(0)
    recorded = first.golden.meta.data if isinstance(first, GoldenRunner) else None
    dataset = load(recorded, lambda: _shape(reference, first, how))
    baked = {runner.threshold for place, runner in found.items() if place and runner.threshold}
    threshold = how.threshold or (baked.pop() if len(baked) == 1 else None)
    for place, spec in enumerate((reference, *candidates)):
        if place not in found:
            found[place] = stack.enter_context(_keras(spec, dataset, how, threshold))
    runners = [found[place] for place in sorted(found)]
    head, dataset = choose_head(
        runners[0], runners[1:], dataset, asked=how.head, threshold=how.threshold, max_error=how.max_error
    )
    return Opened(reference=runners[0], candidates=tuple(runners[1:]), dataset=dataset, head=head)


def open_one(stack: ExitStack, spec: str, load: LoadData, how: Opening) -> tuple[Runner, Dataset]:
    """Open a model alone, such as to record it, and the data; see `open_all`."""
    opened = open_all(stack, spec, (), load, how)
    return opened.reference, opened.dataset


def _shape(spec: str, runner: Runner | None, how: Opening) -> Shape:
    if runner is not None:
        return tuple(runner.image_tail)
    from mnist_export.models.loading import input_shape_of

    return input_shape_of(spec, trust=how.trust, beside=how.beside)


def _file(spec: str, how: Opening, kernels: str) -> Runner:
    path = Path(spec)
    return open_runner(
        path,
        threads=how.threads,
        kernels=kernels_for(path, kernels),
        input_range=how.input_range,
        trust=how.trust,
        beside=how.beside,
    )


def kernels_for(path: Path, kernels: str) -> str:
    """The kernels of a file: those asked for where its runtime knows the name, else its default.

    Raises:
        InputError: no runtime knows the name.
    """
    from mnist_export.runtime.runners.litert import KERNELS
    from mnist_export.runtime.runners.ort import LEVELS

    known = {"litert": KERNELS, "onnxruntime": LEVELS}
    if all(kernels not in names for names in known.values()):
        raise unknown_name("`kernels`", kernels, {*KERNELS, *LEVELS})
    return kernels if kernels in known.get(runtime_of(path), {}) else "default"


def _keras(spec: str, dataset: Dataset, how: Opening, threshold: tuple[float, ...] | None) -> Runner:
    from mnist_export.runtime.runners.keras import open_keras

    options: dict[str, Any] = {"threads": how.threads, "input_range": how.input_range, "trust": how.trust}
    return open_keras(
        spec,
        dataset=dataset,
        notify=_silent if Path(spec).exists() else how.notify,  # a file's notes are in its runner
        beside=how.beside,
        head=how.head,
        threshold=threshold,
        **options,
    )
