"""Parametrised families of small convolutional networks, for searches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from mnist_export.core.errors import InputError
from mnist_export.core.registry import unknown_name

FAMILIES: Final = ("plain", "depthwise", "bottleneck", "residual")
_MOMENTUM: Final = 0.9  # trainings of a search are short: averages of 0.99 would still hold their start
_RANGES: Final = {
    "width": (1, 1024), "growth": (0.5, 8.0), "stages": (1, 5), "blocks": (1, 16), "kernel": (1, 11),
    "stem_kernel": (1, 11), "stem_stride": (1, 4), "expansion": (1, 10), "dense": (0, 4096),
    "dropout": (0.0, 0.9),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FamilyNetwork:
    """One member of a family.

    A stem convolution is followed by stages; each stage halves the image and multiplies the width by
    `growth`, and has `blocks` blocks of the family's kind. Convolutions have batch normalization and ReLU.

    Attributes:
        family: of `FAMILIES`: ``plain`` convolutions, ``depthwise`` (depthwise and pointwise), ``bottleneck``
            (pointwise, depthwise, pointwise, with a sum where shapes allow) or ``residual`` (two convolutions
            and a sum).
        width: channels of the stem.
        growth: what each stage multiplies the channels by.
        stages: how often the image is halved after the stem.
        blocks: of each stage.
        kernel: side of the blocks' kernels.
        stem_kernel: side of the stem's kernel.
        stem_stride: of the stem.
        expansion: a bottleneck's inner channels over its outer ones.
        head: ``average`` over the image, or ``flatten``.
        dense: units of a dense layer before the logits; 0 for none.
        dropout: share dropped before the logits while training.
    """

    family: str = "plain"
    width: int = 8
    growth: float = 2.0
    stages: int = 2
    blocks: int = 1
    kernel: int = 3
    stem_kernel: int = 3
    stem_stride: int = 1
    expansion: int = 2
    head: str = "average"
    dense: int = 0
    dropout: float = 0.0

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> FamilyNetwork:
        """Check settings by name.

        Raises:
            InputError: an unknown setting, or a value outside of its range.
        """
        known = {field.name: field.type for field in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise unknown_name("setting of a network", name, known)
            if name in _RANGES:
                low, high = _RANGES[name]
                whole = known[name] == "int"
                if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
                    raise InputError(f"network.{name}: expected a number, found {value!r:.40}.")
                if not low <= value <= high:
                    raise InputError(f"network.{name}: expected {low} to {high}, found {value}.")
        made = cls(**values)
        if made.family not in FAMILIES:
            raise unknown_name("family of networks", made.family, FAMILIES)
        if made.head not in {"average", "flatten"}:
            raise unknown_name("head of a network", made.head, ("average", "flatten"))
        return made

    def build(self, input_shape: tuple[int, ...], num_classes: int) -> Any:
        """Build it as a Keras 3 model that ends in logits.

        Args:
            input_shape: (height, width, channels).
            num_classes: width of the logits.

        Raises:
            InputError: the image is too small for its stages.
        """
        from mnist_export.models.structure.engine import keras

        least = self.stem_stride * 2**self.stages
        if min(input_shape[:2]) < least:
            raise InputError(
                f"network: expected images of at least {least}x{least} for {self.stages} stages, found "
                f"{input_shape[0]}x{input_shape[1]}. Use fewer stages."
            )
        package = keras()
        layers = package.layers
        inputs = layers.Input(shape=input_shape, name="image")
        x = _conv(layers, inputs, self.width, self.stem_kernel, self.stem_stride, "stem")
        channels = self.width
        for stage in range(self.stages):
            channels = max(1, round(self.width * self.growth**stage))
            for block in range(self.blocks):
                name = f"stage{stage + 1}_block{block + 1}"
                x = _BLOCKS[self.family](layers, x, channels, self, 2 if block == 0 else 1, name)
        x = layers.GlobalAveragePooling2D(name="average")(x) if self.head == "average" else _flat(layers, x)
        if self.dense:
            x = layers.Dense(self.dense, activation="relu", name="dense")(x)
        if self.dropout:
            x = layers.Dropout(self.dropout, name="dropout")(x)
        return package.Model(inputs, layers.Dense(num_classes, name="logits")(x), name=self.family)


def _flat(layers: Any, x: Any) -> Any:
    return layers.Flatten(name="flatten")(x)


def _conv(
    layers: Any, x: Any, channels: int, kernel: int, strides: int, name: str, *, relu: bool = True
) -> Any:
    x = layers.Conv2D(channels, kernel, strides, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if relu else x


def _spatial(layers: Any, x: Any, kernel: int, strides: int, name: str) -> Any:
    x = layers.DepthwiseConv2D(kernel, strides, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"{name}_norm")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


Block = Callable[[Any, Any, int, FamilyNetwork, int, str], Any]


def _plain(layers: Any, x: Any, channels: int, net: FamilyNetwork, strides: int, name: str) -> Any:
    x = _conv(layers, x, channels, net.kernel, 1, name)
    return layers.MaxPooling2D(2, name=f"{name}_pool")(x) if strides == 2 else x


def _depthwise(layers: Any, x: Any, channels: int, net: FamilyNetwork, strides: int, name: str) -> Any:
    x = _spatial(layers, x, net.kernel, strides, f"{name}_depthwise")
    return _conv(layers, x, channels, 1, 1, f"{name}_pointwise")


def _bottleneck(layers: Any, x: Any, channels: int, net: FamilyNetwork, strides: int, name: str) -> Any:
    made = _conv(layers, x, channels * net.expansion, 1, 1, f"{name}_expand")
    made = _spatial(layers, made, net.kernel, strides, f"{name}_depthwise")
    made = _conv(layers, made, channels, 1, 1, f"{name}_project", relu=False)
    return layers.Add(name=f"{name}_sum")([x, made]) if made.shape == x.shape else made


def _residual(layers: Any, x: Any, channels: int, net: FamilyNetwork, strides: int, name: str) -> Any:
    made = _conv(layers, x, channels, net.kernel, strides, f"{name}_first")
    made = _conv(layers, made, channels, net.kernel, 1, f"{name}_second", relu=False)
    if made.shape != x.shape:
        # A strided 1x1 convolution would read a quarter of its input; TensorFlow 2.21 fails in its gradient.
        x = layers.MaxPooling2D(strides, padding="same", name=f"{name}_pool")(x) if strides > 1 else x
        x = _conv(layers, x, channels, 1, 1, f"{name}_shortcut", relu=False)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_sum")([x, made]))


_BLOCKS: Final[dict[str, Block]] = {
    "plain": _plain,
    "depthwise": _depthwise,
    "bottleneck": _bottleneck,
    "residual": _residual,
}
