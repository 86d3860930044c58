"""Augmentation as TensorFlow operators on a batch: one resampling for all that moves pixels."""

from __future__ import annotations

import math
from typing import Any

from mnist_export.models.augmentation import Augmentation
from mnist_export.models.structure.engine import tensorflow

_ELASTIC_SIGMA = 4.0
_DEGREE = math.pi / 180.0


def augment(images: Any, seed: Any, amounts: Augmentation) -> Any:
    """Change each image of a batch at random, by itself.

    The same seed gives the same result. Pixels from outside of an image are 0 (black).

    Args:
        images: float32 tensor (n, height, width, channels).
        seed: int64 tensor (2,).
        amounts: how much of what.

    Returns:
        A float32 tensor of the same shape.
    """
    tf = tensorflow()
    if amounts.warps:
        images = _warp(images, seed, amounts)
    if amounts.erase:
        images = _erase(images, seed + tf.constant([0, 7919], tf.int64), amounts.erase)
    return images


def _uniform(shape: Any, seed: Any, salt: int, most: float) -> Any:
    tf = tensorflow()
    salted = seed + tf.constant([salt, 0], tf.int64)
    return tf.random.stateless_uniform(shape, salted, -most, most)


def _matrices(count: Any, seed: Any, amounts: Augmentation, height: float, width: float) -> Any:
    """Maps from output to input pixels, (n, 6): turn, shear and zoom about the centre, and shift."""
    tf = tensorflow()
    angle = _uniform([count], seed, 1, amounts.rotation * _DEGREE)
    shear = tf.tan(_uniform([count], seed, 2, amounts.shear * _DEGREE))
    zoom_x = 1.0 / (1.0 + _uniform([count], seed, 3, amounts.zoom))
    zoom_y = 1.0 / (1.0 + _uniform([count], seed, 4, amounts.zoom))
    shift_x = _uniform([count], seed, 5, amounts.shift)
    shift_y = _uniform([count], seed, 6, amounts.shift)
    cos, sin = tf.cos(angle), tf.sin(angle)
    a, b = zoom_x * cos, zoom_x * (-sin + shear * cos)
    c, d = zoom_y * sin, zoom_y * (cos + shear * sin)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    e = centre_x - a * (centre_x + shift_x) - b * (centre_y + shift_y)
    f = centre_y - c * (centre_x + shift_x) - d * (centre_y + shift_y)
    return tf.stack([a, b, e, c, d, f], axis=1)


def _warp(images: Any, seed: Any, amounts: Augmentation) -> Any:
    tf = tensorflow()
    height, width = int(images.shape[1]), int(images.shape[2])
    count = tf.shape(images)[0]
    matrices = _matrices(count, seed, amounts, float(height), float(width))
    if not amounts.elastic:
        perspective = tf.zeros([count, 2], tf.float32)
        return tf.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=tf.concat([matrices, perspective], axis=1),
            output_shape=[height, width],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )
    ys, xs = tf.meshgrid(tf.range(height, dtype=tf.float32), tf.range(width, dtype=tf.float32), indexing="ij")
    m = matrices[:, :, tf.newaxis, tf.newaxis]
    field = _smooth_field(count, height, width, seed, amounts.elastic)
    source_x = m[:, 0] * xs + m[:, 1] * ys + m[:, 2] + field[..., 0]
    source_y = m[:, 3] * xs + m[:, 4] * ys + m[:, 5] + field[..., 1]
    return _sample(images, source_x, source_y)


def _smooth_field(count: Any, height: int, width: int, seed: Any, most: float) -> Any:
    """A random displacement field in pixels, blurred by a Gaussian, whose largest step is ``most``."""
    tf = tensorflow()
    noise = _uniform([count, height, width, 2], seed, 8, 1.0)
    radius = int(2 * _ELASTIC_SIGMA)
    taps = tf.range(-radius, radius + 1, dtype=tf.float32)
    kernel = tf.exp(-0.5 * tf.square(taps / _ELASTIC_SIGMA))
    kernel = tf.reshape(kernel / tf.reduce_sum(kernel), [1, -1, 1, 1])
    kernel = tf.tile(kernel, [1, 1, 2, 1])
    blurred = tf.nn.depthwise_conv2d(noise, kernel, [1, 1, 1, 1], "SAME")
    blurred = tf.nn.depthwise_conv2d(blurred, tf.transpose(kernel, [1, 0, 2, 3]), [1, 1, 1, 1], "SAME")
    peak = tf.reduce_max(tf.abs(blurred), axis=[1, 2, 3], keepdims=True)
    strength = tf.random.stateless_uniform([count, 1, 1, 1], seed + tf.constant([9, 0], tf.int64), 0.0, most)
    return blurred / tf.maximum(peak, 1e-6) * strength


def _sample(images: Any, xs: Any, ys: Any) -> Any:
    """Bilinear sampling at float pixel positions (n, height, width); 0 outside of the image."""
    tf = tensorflow()
    height, width = int(images.shape[1]), int(images.shape[2])
    padded = tf.pad(images, [[0, 0], [1, 1], [1, 1], [0, 0]])
    xs = tf.clip_by_value(xs + 1.0, 0.0, width + 0.999)
    ys = tf.clip_by_value(ys + 1.0, 0.0, height + 0.999)
    x0, y0 = tf.floor(xs), tf.floor(ys)
    wx, wy = (xs - x0)[..., tf.newaxis], (ys - y0)[..., tf.newaxis]
    column, row = tf.cast(x0, tf.int32), tf.cast(y0, tf.int32)
    flat = tf.reshape(padded, [tf.shape(images)[0], -1, images.shape[3]])
    stride = width + 2

    def at(dy: int, dx: int) -> Any:
        index = (row + dy) * stride + column + dx
        return tf.gather(flat, index, batch_dims=1)

    top = at(0, 0) * (1.0 - wx) + at(0, 1) * wx
    bottom = at(1, 0) * (1.0 - wx) + at(1, 1) * wx
    return top * (1.0 - wy) + bottom * wy


def _erase(images: Any, seed: Any, share: float) -> Any:
    tf = tensorflow()
    height, width = int(images.shape[1]), int(images.shape[2])
    count = tf.shape(images)[0]
    size_y, size_x = max(1, height // 4), max(1, width // 4)
    chosen = tf.random.stateless_uniform([count, 1, 1], seed, 0.0, 1.0) < share
    top = tf.random.stateless_uniform(
        [count, 1, 1], seed + tf.constant([1, 0], tf.int64), 0, height - size_y + 1, tf.int32
    )
    left = tf.random.stateless_uniform(
        [count, 1, 1], seed + tf.constant([2, 0], tf.int64), 0, width - size_x + 1, tf.int32
    )
    ys = tf.range(height)[tf.newaxis, :, tf.newaxis]
    xs = tf.range(width)[tf.newaxis, tf.newaxis, :]
    inside = (ys >= top) & (ys < top + size_y) & (xs >= left) & (xs < left + size_x)
    return tf.where((inside & chosen)[..., tf.newaxis], 0.0, images)
