"""Does the candidate still give the reference's answers? Paired comparison and its verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.core.statistics import mcnemar_exact, wilson_interval
from mnist_export.parity.limits import Thresholds
from mnist_export.parity.logits import LogitErrors, logit_errors
from mnist_export.parity.verdict import SIGNIFICANCE, judge_labels

__all__ = ["SIGNIFICANCE", "Flip", "Parity", "Thresholds", "compare"]


@dataclass(frozen=True, kw_only=True)
class Flip:
    """An image whose label the candidate changed; reports hold it as it is.

    Attributes:
        index: of the image in the data.
        label: the true class.
        reference: the class that the reference gives.
        candidate: the class that the candidate gives.
        margin: the reference's largest logit minus its second largest, in its own units; a small margin
            says that the reference itself was in doubt; None where it was not recorded.
    """

    index: int
    label: int
    reference: int
    candidate: int
    margin: float | None = None

    def __post_init__(self) -> None:
        """Refuse places and classes below 0."""
        for name in ("index", "label", "reference", "candidate"):
            if getattr(self, name) < 0:
                raise InputError(f"Flip.{name}: expected 0 or more, found {getattr(self, name)}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Parity:
    """The paired comparison of one candidate with its reference; shares are fractions of 1.

    Attributes:
        images: how many images were compared.
        reference_top1: the reference's accuracy.
        reference_top1_interval: its 95 % Wilson interval.
        top1: the candidate's accuracy.
        top1_interval: its 95 % Wilson interval.
        drop_pp: reference minus candidate, percentage points.
        agreement: share of images with equal labels.
        agreement_interval: its 95 % Wilson interval.
        only_reference: images that only the reference has right (b).
        only_candidate: images that only the candidate has right (c).
        mcnemar_p: exact two-sided p-value that b and c differ by chance.
        flips: every image whose label changed, smallest reference margin last.
        logits: errors of the output values.
        reference_per_class: the reference's accuracy by true class; NaN where a class has no image.
        candidate_per_class: the candidate's.
        reference_confusion: int64 (classes, classes), rows true, columns predicted.
        candidate_confusion: the candidate's.
        verdict: pass or fail.
        why: one sentence on what was found and whether it is more than chance.
        notes: what else to know, one sentence each.
    """

    images: int
    reference_top1: float
    reference_top1_interval: tuple[float, float]
    top1: float
    top1_interval: tuple[float, float]
    drop_pp: float
    agreement: float
    agreement_interval: tuple[float, float]
    only_reference: int
    only_candidate: int
    mcnemar_p: float
    flips: tuple[Flip, ...]
    logits: LogitErrors
    reference_per_class: npt.NDArray[np.float64]
    candidate_per_class: npt.NDArray[np.float64]
    reference_confusion: npt.NDArray[np.int64]
    candidate_confusion: npt.NDArray[np.int64]
    verdict: Verdict
    why: str
    notes: tuple[str, ...] = ()

    @property
    def significant(self) -> bool:
        """Whether the difference in accuracy is larger than chance (p below 0.05)."""
        return self.mcnemar_p < SIGNIFICANCE


def compare(
    reference_logits: npt.NDArray[Any],
    candidate_logits: npt.NDArray[Any],
    labels: npt.NDArray[Any],
    *,
    thresholds: Thresholds | None = None,
    candidate_step: float | None = None,
    reference_step: float | None = None,
) -> Parity:
    """Compare two sets of answers to the same images.

    A label is the index of the largest logit, the first one where several are equal.

    Args:
        reference_logits: float, shape (n, classes), n > 0, finite.
        candidate_logits: float, the same shape, finite.
        labels: integer, shape (n,), true classes.
        thresholds: what the verdict is measured against; None takes 0.5 pp and 99 %.
        candidate_step: real units per step of a quantized candidate's output.
        reference_step: of a quantized reference's output.

    Returns:
        All figures and the verdict.

    Raises:
        InputError: no images, shapes that differ, values that are not finite, labels out of range.
    """
    limits = thresholds or Thresholds()
    _check(reference_logits, candidate_logits, labels)
    images, classes = reference_logits.shape
    reference = np.asarray(reference_logits, np.float64)
    candidate = np.asarray(candidate_logits, np.float64)
    theirs, ours = reference.argmax(axis=1), candidate.argmax(axis=1)
    right, kept = theirs == labels, ours == labels
    equal = int(np.count_nonzero(theirs == ours))
    lost, won = int(np.count_nonzero(right & ~kept)), int(np.count_nonzero(kept & ~right))
    errors, notes = logit_errors(reference, candidate, step=candidate_step, reference_step=reference_step)
    figures: dict[str, Any] = {
        "images": images,
        "reference_top1": float(right.mean()),
        "reference_top1_interval": wilson_interval(int(right.sum()), images),
        "top1": float(kept.mean()),
        "top1_interval": wilson_interval(int(kept.sum()), images),
        # counts, not rounded shares: one image of 10,000 is exactly 0.01 pp
        "drop_pp": 100.0 * (lost - won) / images,
        "agreement": equal / images,
        "agreement_interval": wilson_interval(equal, images),
        "only_reference": lost,
        "only_candidate": won,
        "mcnemar_p": mcnemar_exact(lost, won),
    }
    confusions = [_confusion(labels, predicted, classes) for predicted in (theirs, ours)]
    judged = judge_labels(figures, limits, errors)
    return Parity(
        **figures,
        flips=_flips(reference, theirs, ours, labels),
        logits=errors,
        reference_per_class=_per_class(confusions[0]),
        candidate_per_class=_per_class(confusions[1]),
        reference_confusion=confusions[0],
        candidate_confusion=confusions[1],
        verdict=judged.verdict,
        why=judged.why,
        notes=notes,
    )


def _check(reference: npt.NDArray[Any], candidate: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
    if reference.ndim != 2 or reference.shape != candidate.shape:
        raise InputError(
            f"parity: expected answers of one shape (images, classes), found {reference.shape} and "
            f"{candidate.shape}. The models differ in their classes, or saw different data."
        )
    if not len(reference):
        raise InputError("parity: expected at least one image, found none. Nothing compared is no pass.")
    if labels.shape != (len(reference),) or labels.dtype.kind not in "iu":
        raise InputError(
            f"parity: expected {len(reference)} integer labels, found {labels.dtype} of shape {labels.shape}."
        )
    if labels.min() < 0 or labels.max() >= reference.shape[1]:
        raise InputError(
            f"parity: expected labels from 0 to {reference.shape[1] - 1}, found {labels.min()} to "
            f"{labels.max()}. Choose the data that the model was trained on with `data`."
        )
    for side, values in (("reference", reference), ("candidate", candidate)):
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            raise InputError(
                f"parity: the {side}'s answers to {int(bad.sum())} of {len(values)} images are not finite, "
                f"the first is image {int(np.flatnonzero(bad)[0])}. The model is damaged; export it again."
            )


def _flips(
    reference: npt.NDArray[np.float64],
    theirs: npt.NDArray[np.int64],
    ours: npt.NDArray[np.int64],
    labels: npt.NDArray[Any],
) -> tuple[Flip, ...]:
    places = np.flatnonzero(theirs != ours)
    if not len(places):  # a single output has no second largest
        return ()
    top = np.partition(reference[places], -2, axis=1)[:, -2:]
    margins = top[:, 1] - top[:, 0]
    order = np.argsort(-margins, kind="stable")
    return tuple(
        Flip(
            index=int(places[i]),
            label=int(labels[places[i]]),
            reference=int(theirs[places[i]]),
            candidate=int(ours[places[i]]),
            margin=float(margins[i]),
        )
        for i in order
    )


def _confusion(
    labels: npt.NDArray[Any], predicted: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    flat = labels.astype(np.int64) * classes + predicted
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def _per_class(confusion: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    totals = confusion.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.diag(confusion) / totals, np.float64)
