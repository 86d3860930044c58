"""The options that state a pixel rule, as the command line and the Python interface give them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from mnist_export.core.errors import InputError
from mnist_export.core.parameters import parameter
from mnist_export.core.pixel_rules import PRESETS, PixelRule, between, by_channel
from mnist_export.core.registry import unknown_name

CHANNELS: Final = ("rgb", "bgr")
PIXEL_OPTIONS: Final = ("input_range", "mean", "std", "channels", "preprocess")
"""Their names, as attributes of parsed arguments and as keywords."""

Numbers: TypeAlias = "str | float | Sequence[float] | None"


def stated_rule(
    input_range: str | None = None,
    mean: Numbers = None,
    std: Numbers = None,
    channels: str | None = None,
    preprocess: str | None = None,
) -> PixelRule | None:
    """The rule that the options state; None where none is given.

    Args:
        input_range: ``LO,HI``; from white to black where LO is above HI.
        mean: one number or one a channel, with commas: on pixels in 0..1, in the model's order of channels.
        std: the same, above 0.
        channels: ``rgb`` or ``bgr``, the order in which the model takes them; pictures are RGB.
        preprocess: a name in `PRESETS`.

    Raises:
        InputError: no numbers, numbers that make no rule, or options that exclude each other.
    """
    given = {
        "input_range": input_range, "mean": mean, "std": std, "channels": channels, "preprocess": preprocess,
    }  # fmt: skip
    names = [name for name, value in given.items() if value is not None]
    if not names:
        return None
    if preprocess is not None:
        if len(names) > 1:
            raise InputError(
                f"{parameter('preprocess')}: expected no {parameter(names[0])} beside it, as it states "
                "the whole rule. Leave one of them out."
            )
        if preprocess not in PRESETS:
            raise unknown_name("preprocessing", preprocess, PRESETS)
        return PRESETS[preprocess]
    if channels is not None and channels not in CHANNELS:
        raise unknown_name("order of channels", channels, CHANNELS)
    reverse = channels == "bgr"
    if input_range is not None:
        if mean is not None or std is not None:
            raise InputError(
                f"{parameter('input_range')}: expected no {parameter(names[1])} beside it, as both "
                "say what pixels become. Leave one of them out."
            )
        return between(*range_numbers(input_range), reverse=reverse)
    if mean is None and std is None:
        return between(0.0, 1.0, reverse=reverse)
    return by_channel(*_mean_and_std(mean, std, reverse=reverse), reverse=reverse)


def range_numbers(text: str) -> tuple[float, float]:
    """Read ``"LO,HI"``.

    Raises:
        InputError: they are not two different finite numbers.
    """
    try:
        lo, hi = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{parameter('input_range')}: expected two numbers LO,HI, found '{text}'. Example: "
            f"{parameter('input_range', '0,1')}"
        ) from None
    if not np.all(np.isfinite((lo, hi))) or lo == hi:
        raise InputError(
            f"{parameter('input_range')}: expected two different finite numbers LO,HI, found {text}. "
            "Use 0,1 for x/255, -1,1 for x/127.5-1, 0,255 for raw pixels, 1,0 for 1-x/255."
        )
    return lo, hi


def _mean_and_std(
    mean: Numbers, std: Numbers, *, reverse: bool
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    means = _numbers("mean", mean, default=0.0)
    stds = _numbers("std", std, default=1.0)
    if max(means) > 1:
        scaled = ",".join(f"{value / 255:.6g}" for value in means)
        raise InputError(
            f"{parameter('mean')}: expected numbers of at most 1, as it is taken from pixels in 0..1, found "
            f"{max(means):g}. Divide by 255: {parameter('mean', scaled)}"
            f"{'' if std is None else ', and ' + parameter('std') + ' likewise'}."
        )
    if min(stds) <= 0:
        raise InputError(f"{parameter('std')}: expected numbers above 0, found {min(stds):g}.")
    counts = {len(means), len(stds)} - {1} | ({3} if reverse else set())
    if len(counts) > 1:
        raise InputError(
            f"{parameter('mean')} and {parameter('std')}: expected one number or one a channel, found "
            f"{len(means)} and {len(stds)}"
            f"{' with ' + parameter('channels', 'bgr') + ', which is of 3' if reverse else ''}."
        )
    return means, stds


def _numbers(name: str, value: Numbers, *, default: float) -> tuple[float, ...]:
    if value is None:
        return (default,)
    parts: Any = value.split(",") if isinstance(value, str) else value
    parts = [parts] if isinstance(parts, int | float | np.number) else parts
    try:
        numbers = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        numbers = ()
    if not 1 <= len(numbers) <= 64 or not np.all(np.isfinite(numbers)):
        raise InputError(
            f"{parameter(name)}: expected a number or one a channel, found '{value}'. Example: "
            f"{parameter(name, '0.485,0.456,0.406')}"
        )
    return numbers
