"""Batches for both trainers: the order and the changes of every epoch follow from the seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_export.core import batches
from mnist_export.core.pixels import InputRange
from mnist_export.models.structure.engine import tensorflow
from mnist_export.train.augment import augment

if TYPE_CHECKING:
    from mnist_export.core.images import Images
    from mnist_export.core.pixel_rules import PixelRule
    from mnist_export.data.dataset import Split
    from mnist_export.models.recipe import Recipe

EVALUATION_BATCH = 256


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Steps of an epoch; the last, smaller batch counts."""
    return -(-images // batch_size)


def training_batches(
    split: Split, recipe: Recipe, *, num_classes: int, seed: int, first_epoch: int, pixels: PixelRule
) -> Any:
    """All training batches from ``first_epoch`` to the recipe's last, one epoch after the other.

    The permutation and the augmentation of an epoch depend on the seed and the epoch's number only, so
    that a resumed run sees what the whole run would have seen.

    Args:
        split: uint8 images (n, height, width, channels) and int64 labels (n,), or targets in their place.
        recipe: batch size, epochs, augmentation; one-hot labels if its loss takes them.
        num_classes: width of a one-hot label.
        seed: of the run.
        first_epoch: counted from 0.
        pixels: how pixels become what the model takes.

    Returns:
        A ``tf.data.Dataset`` of (float32 images, labels) with `steps_per_epoch` elements an epoch.
    """
    tf = tensorflow()
    gather, labels = _gatherer(split.images), tf.constant(_answers(split))
    count = int(split.labels.shape[0])
    height, width, channels = split.images.shape[1:]
    amounts = recipe.augmentation
    black = (
        pixels.lo if isinstance(pixels, InputRange) else np.array(pixels.of_channels(channels).shift, "f4")
    )

    def epoch_of(epoch: Any) -> Any:
        order = tf.random.experimental.stateless_shuffle(
            tf.range(count), tf.stack([tf.constant(seed, tf.int64), epoch])
        )
        steps = tf.data.Dataset.from_tensor_slices(order).batch(recipe.batch_size).enumerate()

        def load(step: Any, chosen: Any) -> Any:
            x = _to_real(tf.ensure_shape(gather(chosen), [None, height, width, channels]), pixels)
            if amounts.active:
                # The warp fills with 0, so move black to 0 and back.
                key = tf.stack([tf.constant(seed * 1_000_003 % 2**31, tf.int64) + epoch * 31, step * 64])
                x = augment(x - black, key, amounts) + black
            return x, _labels(tf.gather(labels, chosen), num_classes, one_hot=recipe.one_hot)

        return steps.map(load, num_parallel_calls=2, deterministic=True)

    epochs = tf.data.Dataset.range(first_epoch, recipe.epochs)
    return epochs.flat_map(epoch_of).prefetch(4)


def evaluation_batches(
    split: Split, *, num_classes: int, one_hot: bool, pixels: PixelRule, batch_size: int = EVALUATION_BATCH
) -> Any:
    """Batches of a split in its own order, not augmented, at most ``batch_size``; see `training_batches`."""
    tf = tensorflow()
    gather, labels = _gatherer(split.images), tf.constant(_answers(split))
    size = batches.batch_size(math.prod(split.images.shape[1:]), largest=batch_size)
    data = tf.data.Dataset.range(len(split)).batch(size)

    def load(chosen: Any) -> Any:
        x = _to_real(tf.ensure_shape(gather(chosen), [None, *split.images.shape[1:]]), pixels)
        return x, _labels(tf.gather(labels, chosen), num_classes, one_hot=one_hot)

    return data.map(load).prefetch(2)


def _gatherer(images: Images) -> Callable[[Any], Any]:
    """What gives the images at some positions as a tensor: from memory, or read as they are needed."""
    tf = tensorflow()
    if isinstance(images, np.ndarray):
        whole = tf.constant(images)
        return lambda chosen: tf.gather(whole, chosen)
    return lambda chosen: tf.numpy_function(lambda rows: images[rows], [chosen], tf.uint8)


def _to_real(images: Any, pixels: PixelRule) -> Any:
    tf = tensorflow()
    x = tf.cast(images, tf.float32)
    if not isinstance(pixels, InputRange):
        rule = pixels.of_channels(int(images.shape[-1]))
        ordered = tf.reverse(x, [-1]) if rule.is_reversed else x
        return ordered * np.array(rule.scale, np.float32) + np.array(rule.shift, np.float32)
    if (pixels.lo, pixels.hi) == (0.0, 1.0):
        return x / 255.0
    return x * ((pixels.hi - pixels.lo) / 255.0) + pixels.lo


def _answers(split: Split) -> npt.NDArray[Any]:
    """Class numbers, or the numbers and labels that images have in their place."""
    return split.labels if split.targets is None else split.targets.astype(np.float32)


def _labels(labels: Any, num_classes: int, *, one_hot: bool) -> Any:
    tf = tensorflow()
    return tf.one_hot(labels, num_classes) if one_hot and labels.dtype.is_integer else labels
