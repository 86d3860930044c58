"""Several labels an image: which are on, and how two models agree on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.record import Record

Sets = npt.NDArray[np.bool_]


def labels_on(logits: npt.NDArray[Any], cut: npt.ArrayLike = 0.0) -> Sets:
    """The labels whose logit is over a cut, one for all or one a label; 0 is a sigmoid of 0.5.

    Shape (n, labels).
    """
    return np.asarray(logits > np.asarray(cut))


def wanted_sets(labels: npt.NDArray[Any], targets: npt.NDArray[Any] | None, count: int) -> Sets:
    """The labels that should be on.

    Args:
        labels: class numbers, shape (n,): the one label that is on, where there are no targets.
        targets: 0 or 1, shape (n, count); or None.
        count: of labels.

    Raises:
        InputError: targets other than 0 and 1.
    """
    if targets is None:
        return np.asarray(labels[:, None] == np.arange(count))
    if not np.all((targets == 0) | (targets == 1)):
        raise InputError(
            "several labels: expected y of 0 and 1, found other numbers. Round them at your threshold, or "
            'judge the outputs as numbers with `head="values"`.'
        )
    return np.asarray(targets == 1)


@dataclass(frozen=True, kw_only=True)
class SetAgreement(Record):
    """How two sets of labels agree; shares are fractions of 1.

    Attributes:
        exact_match: share of images with all labels alike.
        per_label: share of images that agree on each label, in the order of the data's class names.
        equal: images with all labels alike; not part of the JSON form.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("exact_match",)

    exact_match: float
    per_label: tuple[float, ...] = ()
    equal: int = field(default=0, repr=False, compare=False)

    def _check(self) -> None:
        if any(not 0 <= share <= 1 for share in self.per_label):
            raise InputError("SetAgreement.per_label: expected fractions of 1.")


def agreement(first: Sets, second: Sets) -> SetAgreement:
    """Compare two sets of labels of the same images, n > 0."""
    same = first == second
    whole = same.all(axis=1)
    return SetAgreement(
        equal=int(whole.sum()),
        exact_match=float(whole.mean()),
        per_label=tuple(float(share) for share in same.mean(axis=0)),
    )


def most_frequent(wanted: Sets) -> float:
    """Share of images that have the most frequent set of labels: what always the same answer gets right."""
    counts = Counter(row.tobytes() for row in np.packbits(wanted, axis=1))
    return max(counts.values()) / len(wanted)
