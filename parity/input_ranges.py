"""Whether an original answers its own data at all, and whether it was given pixels by the wrong rule.

A model trained on pixels 0..255 and given 0..1 still gives answers, at 9 to 16 % on MNIST, and everything
that is made from it agrees with it: parity alone says nothing. Its own accuracy does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import image_batches
from mnist_export.core.pixel_rules import PRESETS, PixelRule, between, by_channel
from mnist_export.core.statistics import wilson_interval

CONVENTIONS: Final = ((0.0, 1.0), (0.0, 255.0), (-1.0, 1.0), (-0.5, 0.5))
INVERTED: Final = ((1.0, 0.0), (1.0, -1.0))
MNIST_MEAN, MNIST_STD = 0.1307, 0.3081
TRIED_IMAGES: Final = 128  # every rule is tried on so many, and the best of them on all
PLAUSIBLE_TOP1: Final = 0.9  # above it no other range is tried
REFUSED_GAP: Final = 0.20  # another rule is right on so much more of the images: the given one is wrong
NOTED_GAP: Final = 0.03

Call = Callable[[npt.NDArray[np.float32]], Any]


@dataclass(frozen=True, kw_only=True)
class RangeCheck:
    """What was found.

    Attributes:
        given: the rule that was asked for.
        top1: with it, a fraction of 1.
        images: how many were tried.
        near_chance: whether it is no better than always answering the commonest class.
        better: the rule under which the model is right more often by `NOTED_GAP` or more, or None.
        better_top1: with that rule; 0 where there is none.
    """

    given: PixelRule
    top1: float
    images: int
    near_chance: bool
    better: PixelRule | None = None
    better_top1: float = 0.0

    @property
    def wrong(self) -> bool:
        """Whether the given rule is wrong beyond doubt."""
        return self.better is not None and self.better_top1 - self.top1 >= REFUSED_GAP

    def message(self) -> str:
        """What is wrong and what to do, in one line; empty where nothing is."""
        about = f"the model itself is right on {self.top1:.1%} of {self.images} test images"
        given = self.given.parameters()
        if self.better is not None:
            other = self.better.parameters()
            return f"with {given} {about}, with {other} on {self.better_top1:.1%}. Give {other}."
        if self.near_chance:
            return (
                f"{about} with {given}: no better than always the same answer. It is untrained, damaged, or "
                "for other data or another rule of pixels; agreeing with it means little."
            )
        return ""


def near_chance(top1: float, labels: npt.NDArray[Any]) -> bool:
    """Whether an accuracy can be had by always answering the commonest class (Wilson's 95 % interval).

    Args:
        top1: fraction of 1.
        labels: what is true, shape (n,), n at least 1.
    """
    commonest = float(np.bincount(labels).max()) / len(labels)
    low, _ = wilson_interval(round(top1 * len(labels)), len(labels))
    return low <= commonest


def usual_rules(channels: int) -> tuple[PixelRule, ...]:
    """The rules that networks are usually trained with, the commonest first.

    Args:
        channels: of a picture.
    """
    rules: list[PixelRule] = [between(lo, hi) for lo, hi in CONVENTIONS]
    if channels == 3:
        colours = [PRESETS["caffe"], PRESETS["torch"]]
        rules += [*colours, *(between(lo, hi, reverse=True) for lo, hi in CONVENTIONS[:3])]
    if channels == 1:
        rules.append(by_channel((MNIST_MEAN,), (MNIST_STD,)))
    return (*rules, *(between(lo, hi) for lo, hi in INVERTED))


def check_range(
    call: Call,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[Any],
    given: PixelRule,
    *,
    input_shape: tuple[int, ...],
) -> RangeCheck:
    """Measure the original under the given rule and, where that is poor, under the usual others.

    Images go through the model in batches of bounded memory; the others are tried on some of them, and only
    the two best on all.

    Args:
        call: float32 (n, *input_shape) to logits (n, classes).
        images: uint8 (n, H, W, C), n at least 1.
        labels: shape (n,).
        given: what was asked for.
        input_shape: of one image, as the model takes it.
    """

    def top1(pixels: PixelRule, step: int = 1) -> float:
        some, wanted = images[::step], labels[::step]
        logits = np.concatenate(
            [
                np.asarray(call(pixels.to_real(some[part]).reshape(-1, *input_shape)))
                for part in image_batches(len(some), images[0].size)
            ]
        )
        if not np.all(np.isfinite(logits)):
            return 0.0
        return float(np.mean(logits.argmax(axis=-1) == wanted))

    found = top1(given)
    others: list[PixelRule] = []
    if found < PLAUSIBLE_TOP1:
        others = [pixels for pixels in usual_rules(images.shape[-1]) if pixels != given]
        step = -(-len(images) // TRIED_IMAGES)
        if step > 1:
            others = sorted(others, key=lambda pixels: -top1(pixels, step))[:2]
    tried = [(top1(pixels), -number, pixels) for number, pixels in enumerate(others)]
    best = max(tried, default=(0.0, 0, given), key=lambda entry: entry[:2])
    # a rule under which the model only guesses is no advice
    far_better = best[0] - found >= NOTED_GAP and not near_chance(best[0], labels)
    better = best[2] if far_better else None
    return RangeCheck(
        given=given,
        top1=found,
        images=len(images),
        near_chance=near_chance(found, labels),
        better=better,
        better_top1=best[0] if better is not None else 0.0,
    )
