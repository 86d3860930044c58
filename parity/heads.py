"""Judges answers in the language of a model's outputs: labels one by one, numbers by their errors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.core.statistics import wilson_interval
from mnist_export.models.judging import CLASSES, LABELS, VALUES
from mnist_export.models.thresholds import is_half, logit
from mnist_export.parity.label_sets import (
    SetAgreement,
    Sets,
    agreement,
    labels_on,
    most_frequent,
    wanted_sets,
)
from mnist_export.parity.limits import Thresholds
from mnist_export.parity.values import Distance, ValueLimit, distance
from mnist_export.parity.verdict import Check, judge_sets, judge_values

if TYPE_CHECKING:
    from mnist_export.data.dataset import Split

Answers = npt.NDArray[Any]
ANYTHING: Final = Thresholds(max_drop_pp=100.0, min_agreement=0.0)
"""Limits that everything passes: of the comparison of largest outputs, where outputs are no classes."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a model's outputs are, and what else than `Thresholds` they are judged by.

    Attributes:
        kind: ``classes``, ``labels`` or ``values``.
        threshold: from which probability on a label is on: one for all, or one a label.
        max_error: see `ValueLimit`.
    """

    kind: str = CLASSES
    threshold: tuple[float, ...] = (0.5,)
    max_error: float | None = None

    def __post_init__(self) -> None:
        """Refuse another kind, and a limit of errors for what has no values."""
        if self.kind not in {CLASSES, LABELS, VALUES}:
            raise InputError(f"head: expected classes, labels or values, found '{self.kind}'.")
        ValueLimit(max_error=self.max_error)


def limits_of(limits: Thresholds, head: Head) -> Thresholds:
    """What a verdict was measured against, where outputs are of this kind.

    Args:
        limits: of classes and labels.
        head: what the outputs are.
    """
    if head.kind == VALUES:
        return Thresholds(max_drop_pp=None, min_agreement=None, max_error=head.max_error)
    return replace(limits, max_error=None, threshold=() if is_half(head.threshold) else head.threshold)


@dataclass(frozen=True, kw_only=True)
class HeadJudgement:
    """A candidate beside its original, where outputs are labels or numbers.

    Attributes:
        verdict: pass where every check passes.
        why: one sentence or two.
        checks: one a limit.
        drop_pp: of labels: percentage points of images with every label right that are lost.
        agreement: of labels: share of images with all of the original's labels.
        agreement_interval: its 95 % Wilson interval.
        original_values: of numbers: errors against the original.
        target_values: of numbers: errors against the data's y, None where there are none.
        original_labels: of labels: agreement with the original.
        target_labels: of labels: agreement with the data's y.
        differing: images with other labels than the original's.
    """

    verdict: Verdict
    why: str
    checks: tuple[Check, ...]
    drop_pp: float | None = None
    agreement: float | None = None
    agreement_interval: tuple[float, float] | None = None
    original_values: Distance | None = None
    target_values: Distance | None = None
    original_labels: SetAgreement | None = None
    target_labels: SetAgreement | None = None
    differing: int | None = None


@dataclass(frozen=True, kw_only=True)
class OwnFigures:
    """How good the original itself is on the data's y.

    Attributes:
        values: of numbers, None where the data has none.
        labels: of labels.
        warning: a sentence where it is no better than a constant, else empty.
    """

    values: Distance | None = None
    labels: SetAgreement | None = None
    warning: str = ""


def judge(head: Head, original: Answers, found: Answers, split: Split, limits: Thresholds) -> HeadJudgement:
    """Judge a candidate's answers against the original's.

    Args:
        head: what the outputs are: labels or values.
        original: finite, shape (n, outputs), n > 0; of labels the logits.
        found: the candidate's, the same shape.
        split: the images' y.
        limits: of labels: what may be lost.

    Raises:
        InputError: several labels, and the data's y are not 0 and 1.
    """
    if head.kind == LABELS:
        return _by_labels(head, original, found, split, limits)
    return _by_values(head, original, found, split)


def own_figures(head: Head, label: str, original: Answers, split: Split) -> OwnFigures:
    """Measure the original against the data's y.

    Args:
        head: labels or values.
        label: the original's name, for the warning.
        original: its answers, see `judge`.
        split: the images' y.
    """
    advice = "It is untrained, damaged, or for other data or another range of pixels; agreeing with it "
    "means little."
    if head.kind == LABELS:
        wanted = wanted_sets(split.labels, split.targets, original.shape[1])
        own, constant = agreement(wanted, _on(head, original)), most_frequent(wanted)
        text = (
            f"{label}: the model itself has every label right on {own.exact_match:.1%} of the test images: "
            f"no "
            f"better than always the same labels ({constant:.1%}). {advice}"
        )
        return OwnFigures(labels=own, warning=text if own.exact_match <= constant else "")
    targets = targets_of(split, original.shape[1])
    if targets is None:
        return OwnFigures()
    found = distance(targets, original)
    text = (
        f"{label}: the model itself is no better on the test images than a constant (R2 "
        f"{found.r2 or 0:.2g}). "
        f"{advice}"
    )
    return OwnFigures(values=found, warning=text if found.r2 is not None and found.r2 <= 0 else "")


def targets_of(split: Split, outputs: int) -> npt.NDArray[np.float64] | None:
    """The numbers that outputs should be; integers that were read as classes serve a single output."""
    if split.targets is None and outputs == 1:
        return split.labels[:, None].astype(np.float64)
    return split.targets


def _by_values(head: Head, original: Answers, found: Answers, split: Split) -> HeadJudgement:
    targets = targets_of(split, original.shape[1])
    passed, why = ValueLimit(max_error=head.max_error).judge(original, found, targets)
    if not passed and head.max_error is None:
        why += " (for a limit of your own: `max_error=X`)"
    judged = judge_values("RMSE" if head.max_error is None else "largest error", passed, why)
    return HeadJudgement(
        verdict=judged.verdict,
        why=judged.why,
        checks=judged.checks,
        original_values=distance(original, found),
        target_values=None if targets is None else distance(targets, found),
    )


def _on(head: Head, answers: Answers) -> Sets:
    cuts = np.asarray(head.threshold, np.float64)
    if len(cuts) not in {1, answers.shape[1]}:
        raise InputError(
            f"`threshold`: expected one number, or one for each of {answers.shape[1]} labels, found "
            f"{len(cuts)}."
        )
    return labels_on(answers, logit(cuts))


def _by_labels(
    head: Head, original: Answers, found: Answers, split: Split, limits: Thresholds
) -> HeadJudgement:
    images = len(found)
    before_sets, found_sets = _on(head, original), _on(head, found)
    wanted = wanted_sets(split.labels, split.targets, original.shape[1])
    same, right = agreement(before_sets, found_sets), agreement(wanted, found_sets)
    before = agreement(wanted, before_sets)
    judged = judge_sets(same, right, before, images, limits)
    return HeadJudgement(
        verdict=judged.verdict,
        why=judged.why,
        checks=judged.checks,
        drop_pp=100.0 * (before.equal - right.equal) / images,
        agreement=same.exact_match,
        agreement_interval=wilson_interval(same.equal, images),
        original_labels=same,
        target_labels=right,
        differing=images - same.equal,
    )
