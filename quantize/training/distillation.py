"""A float model teaches the model that is made from it: its logits are learned, beside the labels or alone.

A quantized, pruned or clustered model so changes as few answers as it can. References: Hinton, Vinyals and
Dean, "Distilling the Knowledge in a Neural Network", 2015, for the loss; Mishra and Marr, "Apprentice: Using
Knowledge Distillation Techniques To Improve Low-Precision Network Accuracy", ICLR 2018, for its use here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_export.quantize.training.aims import Aim

SHARE = 1.0
"""The usual share of the loss that is the distance to the teacher.

Validation images of two epochs of quantization-aware training, agreement with the float model for shares of
0, 0.5 and 1: LeNet-5 on Fashion-MNIST 98.24 %, 98.90 % and 99.36 %; custom2 on MNIST 99.82 %, 99.96 % and
99.92 %. Accuracies were 92.00 %, 91.98 %, 92.08 % (float 92.06 %) and 99.60 %, 99.60 %, 99.56 % (99.64 %)."""

TEMPERATURE = 4.0
"""Softens both sides: the probabilities of a model that is sure say little beside the first."""


def taught(batches: Any, teacher: Any, classes: int, *, one_hot: bool) -> Any:
    """Put the teacher's logits beside the labels.

    Args:
        batches: a ``tf.data.Dataset`` of images and labels.
        teacher: a tf_keras model from the same images to float32 logits (n, classes).
        classes: how many.
        one_hot: whether labels are one-hot already.

    Returns:
        A dataset of images and float32 targets (n, 2 * classes): one-hot labels, then logits.
    """
    import tensorflow as tf

    def beside(x: Any, y: Any) -> Any:
        labels = y if one_hot else tf.one_hot(y, classes)
        return x, tf.concat([labels, teacher(x, training=False)], axis=1)

    return batches.map(beside, num_parallel_calls=2, deterministic=True)


def loss(hard: Any, classes: int, share: float) -> Callable[[Any, Any], Any]:
    """A mixture of a loss from labels and the distance to the teacher, for targets of `taught`.

    The distance is the cross-entropy between both sides' probabilities at `TEMPERATURE`, times its square, so
    that gradients keep their size.

    Args:
        hard: a loss of one-hot labels and logits.
        classes: how many.
        share: of the distance to the teacher, 0 to 1.
    """
    import tensorflow as tf

    def mixed(target: Any, logits: Any) -> Any:
        wanted = tf.nn.softmax(target[:, classes:] / TEMPERATURE)
        soft = tf.nn.softmax_cross_entropy_with_logits(wanted, logits / TEMPERATURE)
        return (1 - share) * hard(target[:, :classes], logits) + share * TEMPERATURE**2 * soft

    return mixed


def accuracy(classes: int) -> Callable[[Any, Any], Any]:
    """The share of right labels, for targets of `taught`."""
    import tensorflow as tf

    def accuracy(target: Any, logits: Any) -> Any:  # its name is the figure's
        right = tf.argmax(target[:, :classes], axis=1) == tf.argmax(logits, axis=1)
        return tf.cast(right, tf.float32)

    return accuracy


def aimed(aim: Aim, share: float) -> Callable[[Any, Any], Any]:
    """As `loss`, where outputs are labels or numbers.

    Args:
        aim: their losses.
        share: of the distance to the teacher, 0 to 1.
    """

    def mixed(target: Any, answers: Any) -> Any:
        wide = aim.outputs
        soft = aim.taught(target[:, wide:], answers)
        return (1 - share) * aim.loss(target[:, :wide], answers) + share * soft

    return mixed


def score(aim: Aim, *, taught: bool) -> Callable[[Any, Any], Any]:
    """As `accuracy`, where outputs are labels or numbers.

    Args:
        aim: the figure.
        taught: whether targets are those of `taught`.
    """

    def accuracy(target: Any, answers: Any) -> Any:  # its name is the figure's
        return aim.score(target[:, : aim.outputs] if taught else target, answers)

    return accuracy
