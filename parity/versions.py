"""Versions of one model measured together: answers compared, memory and start-up alone, times in turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.images import save_images
from mnist_export.parity.comparison import Parity, compare
from mnist_export.runtime.bench.measuring import (
    Plan,
    Point,
    Target,
    children_of,
    order_of,
    point_of,
    times_of,
)

if TYPE_CHECKING:
    from mnist_export.data.dataset import Split


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """What was found on one target.

    Attributes:
        target: what was measured.
        opened: what the child said when it opened the model; see `bench_child`.
        parity: answers compared with the first target's; the first is compared with itself.
        answers_per_second: images per second over the whole test set, preparation included.
        points: times, in the plan's order.
        logits: float32 (n, classes).
    """

    target: Target
    opened: Mapping[str, Any]
    parity: Parity
    answers_per_second: float
    points: tuple[Point, ...]
    logits: npt.NDArray[np.float32] = field(repr=False)


def _silent(_: str) -> None:
    """Say nothing."""


def measure_targets(
    targets: Sequence[Target],
    split: Split,
    *,
    plan: Plan,
    baselines: Sequence[str] = (),
    notify: Callable[[str], None] = _silent,
) -> tuple[Measured, ...]:
    """Measure versions of one model.

    Each runs in a child process of its own. Answers, memory and start-up are taken one after another, times
    in turns of about 2 ms, so that every ratio is between neighbours in time.

    Args:
        targets: the original first; answers are compared with its answers.
        split: test images and labels.
        plan: batch sizes, threads, effort.
        baselines: names of targets that ratios are over; those that are not there are left out.
        notify: told what is being done.

    Raises:
        InputError: no targets, names that are not unique, no images, or a child that died.
    """
    names = [target.name for target in targets]
    if not names or len(set(names)) != len(names):
        raise InputError(f"benchmark: expected targets with different names, found {names}.")
    if not len(split):
        raise InputError("benchmark: expected at least one image, found none.")
    over = [name for name in baselines if name in names]
    with tempfile.TemporaryDirectory(prefix="mnist-bench-") as text:
        folder = Path(text)
        images = folder / "images.npy"
        save_images(images, split.images)
        alone: dict[str, tuple[dict[str, Any], npt.NDArray[np.float32], float]] = {}
        points: dict[str, list[Point]] = {name: [] for name in names}
        for place, threads in enumerate(plan.threads):
            with children_of(targets, threads, plan.pin) as children:
                for target in targets:
                    notify(f"{target.name}: opening, {threads} thread{'s' if threads > 1 else ''}")
                    opened = children[target.name].ask(
                        "open", images=str(images), **order_of(target, threads)
                    )
                    if place == 0:
                        logits, seconds = children[target.name].answers(images, folder)
                        alone[target.name] = opened, logits, len(split) / seconds
                for batch in plan.batches:
                    notify(f"times at batch {batch}, {threads} thread{'s' if threads > 1 else ''}")
                    turns, found = times_of(children, split.images[:batch], batch, folder, plan.effort)
                    for name in names:
                        points[name].append(point_of(turns, found, name, (batch, threads), over))
    original = alone[names[0]][1]
    return tuple(
        Measured(
            target=target,
            opened=alone[target.name][0],
            parity=compare(
                original,
                alone[target.name][1],
                split.labels,
                candidate_step=alone[target.name][0].get("output_step"),
            ),
            answers_per_second=alone[target.name][2],
            points=tuple(points[target.name]),
            logits=alone[target.name][1],
        )
        for target in targets
    )
