"""Answers of files from anywhere in one form: sigmoids as logits, a single one as those of two classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.models.judging import CLASSES, LABELS, VALUES
from mnist_export.models.thresholds import logit

if TYPE_CHECKING:
    from mnist_export.parity.heads import Head
    from mnist_export.runtime.runners.runner import Runner

Answers = npt.NDArray[Any]
_NEAREST: Final = 1e-7  # to 0 and 1: a sigmoid in float32 that is 0 or 1 has no logit


def require_outputs(head: Head, reference: Runner, candidate: Runner) -> None:
    """Refuse a candidate whose outputs are not the reference's.

    A single sigmoid stands for two classes.

    Raises:
        InputError: another number of outputs.
    """
    theirs, ours = reference.num_classes, candidate.num_classes
    if theirs == ours or (head.kind == CLASSES and {theirs, ours} == {1, 2}):
        return
    raise InputError(
        f"{candidate.label}: expected {theirs} {'classes' if head.kind == CLASSES else 'outputs'} as in "
        f"{reference.label}, found {ours}. They are not versions of one model."
    )


def comparable(head: Head, runners: Sequence[Runner], answers: Sequence[Answers]) -> list[Answers]:
    """Bring the answers of a reference and its candidates to one form.

    Args:
        head: what the outputs are.
        runners: the reference first.
        answers: theirs, float32 (images, outputs) each.

    Returns:
        The same, where nothing had to be done.
    """
    if head.kind == VALUES:
        return list(answers)
    if head.kind == LABELS:
        return [_logits(runner, found) for runner, found in zip(runners, answers, strict=True)]
    if all(found.shape[1] > 1 for found in answers):
        return list(answers)
    wide = next((found for found in answers if found.shape[1] > 1), None)
    constant = wide is not None and bool(np.ptp(wide[:, 0]) == 0)
    cut = float(wide[0, 0]) if wide is not None and constant else float(logit(head.threshold[0]))
    return [
        found if found.shape[1] > 1 else _two(_logits(runner, found), cut)
        for runner, found in zip(runners, answers, strict=True)
    ]


def _two(logits: Answers, cut: float) -> Answers:
    return np.concatenate([np.full_like(logits, cut), logits], axis=1)


def _logits(runner: Runner, found: Answers) -> Answers:
    """Logits of a foreign file that ends in its sigmoids; our files and Keras give logits."""
    own = runner.metadata is not None or runner.name in {"keras", "golden", "c"}
    if own or found.min() < 0 or found.max() > 1:
        return found
    inner = np.clip(found.astype(np.float64), _NEAREST, 1 - _NEAREST)
    return np.asarray(logit(inner), np.float32)
