"""Logits, loss and accuracy of a Keras model on images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import image_batches
from mnist_export.core.errors import InputError
from mnist_export.core.images import Images
from mnist_export.core.pixels import InputRange
from mnist_export.core.statistics import wilson_interval
from mnist_export.models.card import Score

if TYPE_CHECKING:
    from mnist_export.data.dataset import Split

Logits = npt.NDArray[np.float32]


def logits_of(model: Any, images: Images, pixels: InputRange) -> Logits:
    """Run a model in batches whose size follows from the images' (`core.batches`).

    Args:
        model: Keras 3 or tf_keras; its input may be (h, w, c), (h, w) or flat.
        images: uint8 (n, height, width, channels).
        pixels: what 0 and 255 become.

    Returns:
        float32 (n, classes).
    """
    from mnist_export.models.structure.engine import tensorflow

    tf = tensorflow()
    shape = tuple(int(size) for size in model.input_shape[1:])
    function = tf.function(lambda x: model(x, training=False))
    rows = []
    for part in image_batches(len(images), math.prod(images.shape[1:])):
        batch = pixels.to_real(images[part]).reshape(-1, *shape)
        rows.append(np.asarray(function(tf.constant(batch)), np.float32))
    return np.concatenate(rows)


def probabilities(logits: Logits) -> npt.NDArray[np.float64]:
    """Softmax over the last axis, in float64."""
    shifted = logits.astype(np.float64) - logits.max(axis=-1, keepdims=True)
    exp = np.exp(shifted)
    return np.asarray(exp / exp.sum(axis=-1, keepdims=True))


def score(logits: Logits, labels: npt.NDArray[np.int64]) -> Score:
    """Mean cross-entropy and top-1 with its interval.

    Raises:
        InputError: no images, or logits that are not finite.
    """
    if not len(labels) or len(labels) != len(logits):
        raise InputError(f"evaluation: expected a label an image, found {len(labels)} and {len(logits)}.")
    if not np.all(np.isfinite(logits)):
        raise InputError("evaluation: expected finite logits, found NaN or infinity. Check the weights.")
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    chosen = shifted[np.arange(len(labels)), labels]
    loss = np.log(np.exp(shifted).sum(axis=1)) - chosen
    right = int((logits.argmax(axis=1) == labels).sum())
    return Score(
        top1=right / len(labels),
        top1_interval=wilson_interval(right, len(labels)),
        loss=float(loss.mean()),
        images=len(labels),
    )


def evaluate(model: Any, split: Split, pixels: InputRange) -> Score:
    """`score` of `logits_of`."""
    return score(logits_of(model, split.images, pixels), split.labels)
