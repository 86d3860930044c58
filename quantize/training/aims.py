"""What training aims at where outputs are labels or numbers: losses, and the figure that chooses an epoch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_export.models.judging import CLASSES, LABELS
from mnist_export.models.thresholds import HALF, logit

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset, Split


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What outputs should be.

    Attributes:
        head: ``labels``, whose answers are logits, or ``values``.
        outputs: how many there are.
        threshold: of labels, see `models.loaded.LoadedModel`.
        spread: variance of the validation part's numbers; 1 where they do not vary.
    """

    head: str
    outputs: int
    threshold: tuple[float, ...] = HALF
    spread: float = 1.0

    @property
    def figure(self) -> str:
        """What `score` is the mean of, in words."""
        return "labels right" if self.head == LABELS else "R2"

    def loss(self, target: Any, answers: Any) -> Any:
        """Mean loss of each image: cross-entropy of sigmoids, or the squared error in units of the spread.

        Args:
            target: float32 tensor (n, outputs): 0 or 1, or numbers.
            answers: float32 tensor (n, outputs).
        """
        import tensorflow as tf

        if self.head == LABELS:
            each = tf.nn.sigmoid_cross_entropy_with_logits(target, answers)
        else:
            each = tf.square(answers - target) / self.spread
        return tf.reduce_mean(each, axis=1)

    def taught(self, teacher: Any, answers: Any) -> Any:
        """The same against another model's answers."""
        import tensorflow as tf

        return self.loss(tf.sigmoid(teacher) if self.head == LABELS else teacher, answers)

    def score(self, target: Any, answers: Any) -> Any:
        """A figure of each image whose mean is best where it is largest, tensors in and out.

        The share of labels that are right, or ``1 - squared error / spread``, whose mean over the validation
        part is R2.
        """
        import tensorflow as tf

        if self.head == LABELS:
            on = answers > tf.constant(logit(self.threshold), tf.float32)
            return tf.reduce_mean(tf.cast(on == (target > 0.5), tf.float32), axis=1)
        return 1.0 - self.loss(target, answers)

    def mean_score(self, target: npt.NDArray[Any], answers: npt.NDArray[Any]) -> float:
        """The mean of `score` over arrays."""
        if self.head == LABELS:
            return float(np.mean((answers > logit(self.threshold)) == (target > 0.5)))
        return float(1.0 - np.mean(np.square(answers - target)) / self.spread)


def aim_of(head: str, outputs: int, threshold: tuple[float, ...], dataset: Dataset) -> Aim | None:
    """The aim for a data set from `with_targets`; None for classes."""
    if head == CLASSES:
        return None
    spread = 1.0
    targets = dataset.validation.targets
    if targets is not None and len(targets):
        spread = float(np.square(targets - targets.mean(axis=0)).mean()) or 1.0
    return Aim(head=head, outputs=outputs, threshold=threshold or HALF, spread=spread)


def with_targets(dataset: Dataset, head: str, outputs: int) -> Dataset:
    """Give data whose y were read as classes the numbers that other outputs should be.

    Args:
        dataset: the data.
        head: what the outputs are; classes stay as they are.
        outputs: how many: a class is the one label that is on; a single number is the class's own.
    """
    if head == CLASSES or dataset.train.targets is not None:
        return dataset
    return replace(
        dataset,
        train=_numbered(dataset.train, head, outputs),
        validation=_numbered(dataset.validation, head, outputs),
    )


def _numbered(split: Split, head: str, outputs: int) -> Split:
    if head == LABELS:
        return replace(split, targets=np.eye(outputs)[split.labels])
    if outputs > 1:
        return split
    return replace(split, targets=split.labels[:, None].astype(np.float64))
