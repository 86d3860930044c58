"""Pixel rules beyond one range: by channel, in another order of channels, or from white to black."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.parameters import command_words, parameters
from mnist_export.core.pixels import InputRange

MAX_CHANNELS: Final = 64
_NAMES: Final = ("R", "G", "B")


@dataclass(frozen=True, kw_only=True)
class ChannelRule:
    """``x[c] = scale[c] * pixel[order[c]] + shift[c]``, in the model's real units.

    Attributes:
        scale: real units a step of the pixel, for each channel of the model; negative where white is low. A
            rule of one entry holds for pictures of any number of channels.
        shift: what pixel 0 becomes.
        order: the picture's channel for each of the model's: (2, 1, 0) gives blue first.
    """

    scale: tuple[float, ...]
    shift: tuple[float, ...]
    order: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse what is no rule."""
        count = len(self.scale)
        if not 1 <= count <= MAX_CHANNELS or {len(self.shift), len(self.order)} != {count}:
            raise InputError(
                f"pixel rule: expected as many scales as shifts and channels, found {count}, "
                f"{len(self.shift)} and {len(self.order)}."
            )
        if not all(map(math.isfinite, (*self.scale, *self.shift))) or not all(self.scale):
            raise InputError(
                f"pixel rule: expected finite numbers and no scale of 0, found scales {self.scale} and "
                f"shifts {self.shift}."
            )
        if self.order not in {tuple(range(count)), tuple(reversed(range(count)))}:
            raise InputError(f"pixel rule: expected channels in order or reversed, found {self.order}.")

    @property
    def span(self) -> tuple[float, float]:
        """The least and the largest value that a pixel of any channel can become."""
        ends = [
            value
            for scale, shift in zip(self.scale, self.shift, strict=True)
            for value in (shift, 255 * scale + shift)
        ]
        return min(ends), max(ends)

    @property
    def is_reversed(self) -> bool:
        """Whether the picture's last channel is the model's first."""
        return len(self.order) > 1 and self.order[0] != 0

    @property
    def is_uniform(self) -> bool:
        """Whether all channels have one scale and one shift."""
        return len(set(self.scale)) == 1 and len(set(self.shift)) == 1

    def of_channels(self, channels: int) -> ChannelRule:
        """The rule with one entry for each channel of a picture.

        Raises:
            InputError: it is for another number of channels.
        """
        count = len(self.scale)
        if count == channels:
            return self
        if count == 1:
            return ChannelRule(
                scale=self.scale * channels, shift=self.shift * channels, order=tuple(range(channels))
            )
        raise InputError(
            f"{self.parameters()}: expected pictures of {count} channels, as the rule has, found "
            f"{channels}. State a rule of {channels} channel{'s' if channels > 1 else ''}."
        )

    def to_real(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Compute the rule in float32.

        Args:
            pixels: uint8 of shape (n, H, W, C).

        Raises:
            InputError: the rule is for another number of channels.
        """
        rule = self.of_channels(pixels.shape[-1])
        ordered = pixels[..., ::-1] if rule.is_reversed else pixels
        scale, shift = (np.array(values, np.float32) for values in (rule.scale, rule.shift))
        return np.asarray(ordered.astype(np.float32) * scale + shift)

    def settings(self) -> dict[str, str]:
        """The parameters that state it, by name."""
        for name, preset in PRESETS.items():
            if preset == self:
                return {"preprocess": name}
        order = {"channels": "bgr"} if self.is_reversed else {}
        if self.is_uniform:
            lo, hi = self.shift[0], 255 * self.scale[0] + self.shift[0]
            return order | InputRange.settings_of(lo, hi)
        std = [1 / (255 * scale) for scale in self.scale]
        mean = [-shift * each for shift, each in zip(self.shift, std, strict=True)]
        return {"mean": _list(mean), "std": _list(std)} | order

    def parameters(self) -> str:
        """The parameters that state it, as a message names them."""
        return parameters(self.settings())

    def words(self) -> list[str]:
        """The options that state it on a command line."""
        return command_words(self.settings())

    def sentence(self) -> str:
        """The rule as a formula, such as ``B - 103.939, G - 116.779, R - 123.68``."""
        names = {1: ("pixel",), 3: _NAMES}.get(len(self.order))
        names = names or tuple(f"channel {number}" for number in range(len(self.order)))
        terms = zip(self.scale, self.shift, self.order, strict=True)
        return ", ".join(_term(scale, shift, names[place]) for scale, shift, place in terms)

    def inside(self, rule: str) -> str:
        """What a file says that computes this rule itself.

        Args:
            rule: how a pixel becomes an input value, as `InputRange.rule` says it.
        """
        colour = len(self.scale) == len(_NAMES)
        plain = rule.replace(" grey value", " value, channels in the order R, G, B") if colour else rule
        return f"{plain}; the file computes what the model takes: {self.sentence()}"

    def to_json(self) -> dict[str, list[float] | list[int]]:
        """The JSON form."""
        return {"scale": list(self.scale), "shift": list(self.shift), "order": list(self.order)}

    @classmethod
    def from_json(cls, fields: Any) -> ChannelRule:
        """Read the JSON form.

        Raises:
            ValueError, TypeError, KeyError: it is none; an `InputError` where it is no rule.
        """
        if not isinstance(fields, Mapping):
            raise TypeError(f"expected a pixel rule's fields, found {type(fields).__name__}")
        lists = [fields[name] for name in ("scale", "shift", "order")]
        if not all(isinstance(values, list) and len(values) <= MAX_CHANNELS for values in lists):
            raise TypeError("expected lists of numbers in a pixel rule")
        return cls(
            scale=tuple(float(value) for value in lists[0]),
            shift=tuple(float(value) for value in lists[1]),
            order=tuple(int(value) for value in lists[2]),
        )


PixelRule: TypeAlias = InputRange | ChannelRule
"""How pixels become what a model takes: one range, or a rule by channel."""


def _term(scale: float, shift: float, name: str) -> str:
    steps = 1 / scale
    by = f" / {steps:.6g}" if abs(steps) >= 1 else f" * {scale:.6g}"
    if scale == 1:
        return f"{name} {'-' if shift < 0 else '+'} {abs(shift):.6g}" if shift else name
    if scale < 0:
        return f"{shift:.6g} - {name}" + (f" / {-steps:.6g}" if abs(steps) >= 1 else f" * {-scale:.6g}")
    return f"{name}{by}" + (f" {'-' if shift < 0 else '+'} {abs(shift):.6g}" if shift else "")


def _list(values: list[float]) -> str:
    return ",".join(f"{value:.12g}" for value in values)


def by_channel(mean: tuple[float, ...], std: tuple[float, ...], *, reverse: bool = False) -> PixelRule:
    """The rule ``(pixel / 255 - mean) / std``; a plain range where that is one.

    Args:
        mean: one number, or one a channel of the model.
        std: the same; above 0.
        reverse: whether the model takes its channels from the picture's last to its first.
    """
    count = max(len(mean), len(std), 3 if reverse else 1)
    means, stds = (values * count if len(values) == 1 else values for values in (mean, std))
    if len(set(means)) == 1 and len(set(stds)) == 1 and not reverse:
        return InputRange(lo=(0 - means[0]) / stds[0], hi=(1 - means[0]) / stds[0])
    order = tuple(range(count))
    return ChannelRule(
        scale=tuple(1 / (255 * each) for each in stds),
        shift=tuple((0 - each) / size for each, size in zip(means, stds, strict=True)),
        order=order[::-1] if reverse else order,
    )


def between(lo: float, hi: float, *, reverse: bool = False) -> PixelRule:
    """The rule ``lo + pixel * (hi - lo) / 255``, where ``hi`` may be below ``lo``.

    Args:
        lo: what pixel 0 becomes.
        hi: what pixel 255 becomes; not the same.
        reverse: see `by_channel`; for pictures of three channels.
    """
    if not reverse and lo < hi:
        return InputRange(lo=lo, hi=hi)
    count = 3 if reverse else 1
    order = tuple(range(count))
    return ChannelRule(
        scale=((hi - lo) / 255.0,) * count, shift=(lo,) * count, order=order[::-1] if reverse else order
    )


def as_channel_rule(rule: PixelRule) -> ChannelRule:
    """A range as a rule of one entry."""
    if isinstance(rule, ChannelRule):
        return rule
    return ChannelRule(scale=((rule.hi - rule.lo) / 255.0,), shift=(rule.lo,), order=(0,))


def same_rule(one: PixelRule, other: PixelRule) -> bool:
    """Whether two rules give the same values but for the digits that they were written with."""
    rules = [as_channel_rule(rule) for rule in (one, other)]
    counts = {len(rule.scale) for rule in rules}
    if len(counts - {1}) > 1:
        return False
    first, second = (rule.of_channels(max(counts)) for rule in rules)
    near = 1e-4 * max(abs(end) for end in first.span)
    return first.order == second.order and all(
        abs(a - b) <= near
        for mine, theirs in ((first.shift, second.shift), (_whites(first), _whites(second)))
        for a, b in zip(mine, theirs, strict=True)
    )


def _whites(rule: ChannelRule) -> tuple[float, ...]:
    return tuple(255 * scale + shift for scale, shift in zip(rule.scale, rule.shift, strict=True))


PRESETS: Final[Mapping[str, PixelRule]] = {
    "caffe": ChannelRule(scale=(1.0, 1.0, 1.0), shift=(-103.939, -116.779, -123.68), order=(2, 1, 0)),
    "torch": by_channel((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "tf": InputRange(lo=-1.0, hi=1.0),
}
"""The modes of ``keras.applications.imagenet_utils.preprocess_input``."""


def sentence_of(rule: PixelRule) -> str | None:
    """A rule by channel as a formula; None for a range, which says all itself."""
    return rule.sentence() if isinstance(rule, ChannelRule) else None


def rule_to_json(rule: PixelRule) -> Any:
    """A rule as JSON: ``[lo, hi]`` for a range, an object for one by channel."""
    return [rule.lo, rule.hi] if isinstance(rule, InputRange) else rule.to_json()


def rule_from_json(value: Any) -> PixelRule:
    """Read what `rule_to_json` gave."""
    if isinstance(value, Mapping):
        return ChannelRule.from_json(value)
    lo, hi = value
    return InputRange(lo=float(lo), hi=float(hi))
