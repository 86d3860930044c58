"""Multiply-accumulate operations of one image, counted layer by layer, for Keras 3 and tf_keras alike."""

from __future__ import annotations

import math
from typing import Any

from mnist_export.models.structure.nodes import leaves


def output_shape(layer: Any) -> tuple[int | None, ...]:
    """Shape of a layer's output with the batch first; of the first output where there are several."""
    try:
        shape = layer.output.shape
    except (AttributeError, ValueError, RuntimeError):
        shape = getattr(layer, "output_shape", ())
    if isinstance(shape, list) and shape and isinstance(shape[0], (list, tuple)):
        shape = shape[0]
    return tuple(None if size is None else int(size) for size in shape)


def layer_macs(layer: Any) -> int:
    """Count one layer's multiply-accumulates for one image.

    Convolutions: output pixels times kernel elements that touch one of them; dense layers: weights,
    times the positions that they are applied to. Bias, normalization, pooling and activations count
    nothing, as is the custom.
    """
    kind = type(layer).__name__
    weights = getattr(layer, "weights", ())  # an operation has none
    shapes = {weight.name.split("/")[-1].split(":")[0]: tuple(weight.shape) for weight in weights}
    out = output_shape(layer)
    pixels = math.prod(size or 1 for size in out[1:-1])
    if kind in {"SeparableConv1D", "SeparableConv2D"}:
        total = math.prod(shapes["depthwise_kernel"]) + math.prod(shapes["pointwise_kernel"])
        return int(pixels * total)
    if kind in {"Conv2D", "Conv1D", "Convolution2D"}:
        return int(pixels * math.prod(shapes["kernel"]))
    if kind in {"DepthwiseConv1D", "DepthwiseConv2D"}:
        kernel = shapes.get("depthwise_kernel") or shapes["kernel"]
        return int(pixels * math.prod(kernel))
    if kind in {"Conv1DTranspose", "Conv2DTranspose"}:
        before = layer.input.shape
        return int(math.prod(int(size or 1) for size in before[1:-1]) * math.prod(shapes["kernel"]))
    if kind == "Dense":
        return int(pixels * math.prod(shapes["kernel"]))
    return _recurrent_macs(layer, weights) if "recurrent_kernel" in shapes else 0


def _recurrent_macs(layer: Any, weights: Any) -> int:
    """A recurrent layer's, or both of a bidirectional one's: its kernels at each step."""
    steps = int(layer.input.shape[1] or 1)
    return steps * sum(int(math.prod(weight.shape)) for weight in weights if "kernel" in weight.name)


def count_macs(model: Any) -> int:
    """Sum of `layer_macs` over all layers of a built model."""
    return sum(layer_macs(layer) for layer in leaves(model))
