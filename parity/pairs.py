"""Candidates that quantize alike, beside each other: do they give the same logits, bit for bit?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError

if TYPE_CHECKING:
    from mnist_export.runtime.runners.runner import Runner


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two candidates whose logits have one step, such as the .tflite and the .onnx of one export.

    Attributes:
        first: label of the one.
        second: label of the other.
        logits: how many were compared.
        differing: how many of them differ.
        max_steps: largest difference, in steps of the output.
        labels: images with another answer.
    """

    first: str
    second: str
    logits: int
    differing: int
    max_steps: int
    labels: int

    def __post_init__(self) -> None:
        """Refuse counts that cannot be."""
        if not 0 <= self.differing <= self.logits or min(self.max_steps, self.labels) < 0:
            raise InputError("Pair: expected 0 <= differing <= logits, steps and labels of 0 or more.")


def pairs_of(runners: Sequence[Runner], answers: Sequence[npt.NDArray[np.float32]]) -> tuple[Pair, ...]:
    """Compare each quantized candidate with the first one that has its output step.

    Args:
        runners: the candidates.
        answers: their logits, float32 (images, classes) each.
    """
    first: dict[float, int] = {}
    found: list[Pair] = []
    for place, runner in enumerate(runners):
        step = runner.output_step
        if step is None:
            continue
        other = first.setdefault(float(step), place)
        if other == place:
            continue
        steps = np.rint(np.abs(answers[place] - answers[other]).astype(np.float64) / step).astype(np.int64)
        found.append(
            Pair(
                first=runners[other].label,
                second=runner.label,
                logits=int(steps.size),
                differing=int(np.count_nonzero(steps)),
                max_steps=int(steps.max(initial=0)),
                labels=int(np.count_nonzero(answers[place].argmax(axis=1) != answers[other].argmax(axis=1))),
            )
        )
    return tuple(found)
