"""One layer of a Keras 3 or Keras 2 model as a layer of tf_keras, by a table of what each kind carries.

tfmot knows tf_keras alone, and a fixed set of its layers; what it lacks but int8 can compute is written
with what it has: an affine step per channel (a BatchNormalization after an activation, a Rescaling)
becomes a 1x1 depthwise convolution, a separable convolution its two halves.
Where the layer before ends in ReLU and is read by nobody else, the affine step's factors go into its weights
and signs and shifts are left: one scale for all channels, as tfmot gives depthwise kernels, is then exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from mnist_export.core.errors import UnsupportedError
from mnist_export.models.structure.scopes import own_names, stand_in
from mnist_export.quantize.lowering.subsampling import skips_pixels

_CONV = ("filters", "kernel_size", "strides", "padding", "dilation_rate", "groups", "use_bias")
_DEPTHWISE = ("kernel_size", "strides", "padding", "depth_multiplier", "dilation_rate", "use_bias")
_POOL = ("pool_size", "strides", "padding")

CARRIED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Conv2D": _CONV,
        "DepthwiseConv2D": _DEPTHWISE,
        "Dense": ("units", "use_bias"),
        "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
        "ReLU": ("max_value", "negative_slope", "threshold"),
        "Softmax": ("axis",),
        "Activation": (),
        "MaxPooling2D": _POOL,
        "AveragePooling2D": _POOL,
        "GlobalAveragePooling2D": ("keepdims",),
        "GlobalMaxPooling2D": ("keepdims",),
        "Flatten": (),
        "Reshape": ("target_shape",),
        "Permute": ("dims",),
        "Dropout": ("rate",),
        "SpatialDropout2D": ("rate",),
        "ZeroPadding2D": ("padding",),
        "Cropping2D": ("cropping",),
        "UpSampling2D": ("size", "interpolation"),
        "Add": (),
        "Concatenate": ("axis",),
    }
)
"""Layer class to the settings that say what it computes; regularizers and initializers stay behind."""

WITH_ACTIVATION = frozenset({"Conv2D", "DepthwiseConv2D", "Dense", "Activation"})

IDENTITY = frozenset(
    {"GaussianNoise", "GaussianDropout", "AlphaDropout", "ActivityRegularization", "Identity"}
)
"""Layers that do nothing once training is over; they are left out."""


def refuse(layer: Any, why: str) -> UnsupportedError:
    """An error that names the layer, what is wrong with it and the ways out."""
    return UnsupportedError(
        f"quantization-aware training: layer '{layer.name}' ({type(layer).__name__}) {why}. Replace it, or "
        "quantize without training (`int8=True` alone), with `keep_float` for this layer if it needs it."
    )


def activation_name(layer: Any) -> str:
    """The name of a layer's activation function."""
    function = getattr(layer, "activation", None)
    name = str(getattr(function, "__name__", type(function).__name__ if function is not None else "linear"))
    return "linear" if name in {"_linear", "NoneType"} else name


def translate(layer: Any, inputs: Any, *, private: bool = False, for_int8: bool = True) -> Any:
    """Apply the tf_keras form of one layer to tensors, with the layer's weights.

    Args:
        layer: a Keras 3 or tf_keras layer; functions on tensors: `functions.translate_function`.
        inputs: one tf_keras tensor, or a list of them.
        private: nothing else reads the input, so that the layer before may be rescaled.
        for_int8: int8 is going to be simulated in it; else every BatchNormalization stays one.

    Returns:
        The output, a tf_keras tensor.

    Raises:
        UnsupportedError: there is no such form; the message names the layer.
    """
    kind = type(layer).__name__
    if kind in IDENTITY or kind.startswith("Random"):
        return inputs
    if kind == "BatchNormalization" and for_int8:
        return _batch_normalization(layer, inputs, private=private)
    if kind in BUILDERS:
        return BUILDERS[kind](layer, inputs)
    if kind not in CARRIED:
        raise refuse(layer, "has no form that tfmot can train")
    return _plain(layer, kind, inputs)


def _plain(layer: Any, kind: str, inputs: Any) -> Any:
    from tf_keras import layers

    known = layer.get_config() if hasattr(layer, "get_config") else {}
    if known.get("data_format", "channels_last") not in {None, "channels_last"}:
        raise refuse(layer, "has its channels first")
    settings = {key: known[key] for key in CARRIED[kind] if key in known}
    if kind in WITH_ACTIVATION:
        settings["activation"] = activation_name(layer)
    if kind == "ReLU":
        settings = {key: value for key, value in settings.items() if value is not None}
    if isinstance(inputs, list) and kind not in {"Add", "Concatenate"}:
        inputs = inputs[0]
    try:
        if kind == "Conv2D" and skips_pixels(settings):
            strides, settings["strides"] = settings["strides"], 1
            sampled = stand_in(f"{layer.name}_sampled")
            inputs = layers.MaxPooling2D(1, strides=strides, padding="valid", name=sampled)(inputs)
        made = getattr(layers, kind)(**settings, name=stand_in(layer.name))
        result = made(inputs)
        weights = layer.get_weights() if hasattr(layer, "get_weights") else []
        made.set_weights(weights)
    except (ValueError, TypeError) as error:
        reason = own_names(str(error).splitlines()[0])[:200]
        raise refuse(layer, f"cannot be rebuilt in tf_keras ({reason})") from error
    return result


def scaled(layer: Any, inputs: Any, scale: Any, shift: Any, name: str | None = None) -> Any:
    """``x * scale + shift`` by channel, as a 1x1 depthwise convolution of the layer's or another name."""
    from tf_keras import layers

    channels = int(inputs.shape[-1])
    if len(inputs.shape) != 4:
        raise refuse(layer, f"scales values of rank {len(inputs.shape)}; only images of channels can be")
    made = layers.DepthwiseConv2D(1, use_bias=True, name=stand_in(name or layer.name))
    result = made(inputs)
    kernel = np.broadcast_to(np.asarray(scale, np.float32), (channels,)).reshape(1, 1, channels, 1)
    made.set_weights([kernel, np.broadcast_to(np.asarray(shift, np.float32), (channels,))])
    return result


def _batch_normalization(layer: Any, inputs: Any, *, private: bool) -> Any:
    if _folds(inputs):
        return _plain(layer, "BatchNormalization", inputs)
    known = layer.get_config()
    axis = known["axis"][0] if isinstance(known["axis"], (list, tuple)) else known["axis"]
    if axis not in {-1, len(inputs.shape) - 1}:
        raise refuse(layer, f"normalizes axis {axis}; only channels, the last axis, can be")
    weights = [np.asarray(value, np.float64) for value in layer.get_weights()]
    gamma = weights.pop(0) if known.get("scale", True) else np.ones(1)
    beta = weights.pop(0) if known.get("center", True) else np.zeros(1)
    mean, variance = weights
    scale = gamma / np.sqrt(variance + float(known["epsilon"]))
    shift = beta - mean * scale
    if private and _rescaled(inputs.node.layer, np.abs(scale)):
        # tfmot gives a depthwise kernel one scale for all channels: signs lose nothing by that, the
        # factors themselves, which may differ a thousandfold, would.
        scale = np.where(scale < 0, -1.0, 1.0)
    return scaled(layer, inputs, scale, shift)


def _rescaled(producer: Any, factor: Any) -> bool:
    """Multiply a layer's outputs by non-negative factors: ``relu(W x + b) * f = relu(f W x + f b)``."""
    kind = type(producer).__name__
    if kind not in {"Conv2D", "Dense"} or activation_name(producer) != "relu":
        return False
    producer.set_weights([np.asarray(weight * factor, np.float32) for weight in producer.get_weights()])
    return True


def _folds(inputs: Any) -> bool:
    """Whether tfmot folds a BatchNormalization of this tensor: behind a layer without an activation."""
    producer = inputs.node.layer
    kind = type(producer).__name__
    return kind in {"Conv2D", "DepthwiseConv2D", "Dense"} and activation_name(producer) == "linear"


def _rescaling(layer: Any, inputs: Any) -> Any:
    known = layer.get_config()
    return scaled(layer, inputs, known["scale"], known["offset"])


def _separable(layer: Any, inputs: Any) -> Any:
    from tf_keras import layers

    known, weights = layer.get_config(), layer.get_weights()
    first = layers.DepthwiseConv2D(
        known["kernel_size"],
        strides=known["strides"],
        padding=known["padding"],
        depth_multiplier=known["depth_multiplier"],
        dilation_rate=known["dilation_rate"],
        use_bias=False,
        name=stand_in(f"{layer.name}_depthwise"),
    )
    second = layers.Conv2D(
        known["filters"],
        1,
        use_bias=known["use_bias"],
        activation=activation_name(layer),
        name=stand_in(layer.name),
    )
    result = second(first(inputs))
    first.set_weights(weights[:1])
    second.set_weights(weights[1:])
    return result


def _leaky_relu(layer: Any, inputs: Any) -> Any:
    from tf_keras import layers

    known = layer.get_config()
    slope = known.get("negative_slope", known.get("alpha", 0.3))
    return layers.LeakyReLU(alpha=float(slope), name=stand_in(layer.name))(inputs)


BUILDERS: Mapping[str, Callable[[Any, Any], Any]] = MappingProxyType(
    {
        "Rescaling": _rescaling,
        "SeparableConv2D": _separable,
        "LeakyReLU": _leaky_relu,
    }
)
"""Layer class to the function that builds it from others."""
