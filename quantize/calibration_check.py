"""Is a calibration to be trusted: do other images give the same scales, is the input range right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.calibration import Range, calibrate
from mnist_export.quantize.simulate import run_logits

UNSTABLE = 0.25
"""A scale that moves by more than a quarter between two halves depends on which images were drawn."""

COMMON_RANGES = (
    InputRange(lo=0.0, hi=1.0),
    InputRange(lo=0.0, hi=255.0),
    InputRange(lo=-1.0, hi=1.0),
    InputRange(lo=-0.5, hi=0.5),
)
"""How people scale pixels: x/255, none, x/127.5 - 1, x/255 - 0.5."""


@dataclass(frozen=True, kw_only=True)
class ScaleMovement:
    """How much scales differ between two disjoint halves of the calibration images.

    Attributes:
        largest: the largest relative difference of a scale, ``max / min - 1``, a fraction.
        median: the median over all activations.
        layer: where the largest is.
        images: how many images each half has.
    """

    largest: float
    median: float
    layer: str
    images: int

    @property
    def is_stable(self) -> bool:
        """Whether no scale moves by more than a quarter."""
        return self.largest <= UNSTABLE

    def sentence(self) -> str:
        """What a report says."""
        text = (
            f"between two halves of {self.images} calibration images, scales move by {self.median:.1%} in "
            f"the median and {self.largest:.1%} at most (layer '{self.layer}')"
        )
        if self.is_stable:
            return f"{text}."
        return f"{text}: the ranges depend on the draw. Use more --calibration-samples."


def scale_movement(
    graph: Graph, images: npt.NDArray[np.uint8], *, input_range: InputRange, method: str = "minmax"
) -> ScaleMovement:
    """Calibrate on every other image, then on the rest, and compare the ranges' widths.

    Args:
        graph: a float graph.
        images: uint8 of shape (n, H, W, C), n >= 2, in a random order.
        input_range: what pixel values 0 and 255 become for the model.
        method: of calibration.

    Raises:
        InputError: fewer than two images.
    """
    if len(images) < 2:
        raise InputError(f"calibration check: expected at least 2 images, found {len(images)}.")
    halves = [calibrate(graph, images[start::2], input_range=input_range, method=method) for start in (0, 1)]
    moved: dict[str, float] = {}
    for index in halves[0]:
        if index in graph.inputs:
            continue
        widths = sorted(_width(half[index]) for half in halves)
        if widths[1] > 0:
            moved[graph.tensors[index].name] = widths[1] / widths[0] - 1 if widths[0] > 0 else float("inf")
    if not moved:
        return ScaleMovement(largest=0.0, median=0.0, layer="", images=len(images) // 2)
    worst = max(moved, key=lambda name: moved[name])
    return ScaleMovement(
        largest=moved[worst],
        median=float(np.median(list(moved.values()))),
        layer=worst,
        images=len(images) // 2,
    )


def _width(found: Range) -> float:
    return max(found.hi, 0.0) - min(found.lo, 0.0)


@dataclass(frozen=True, kw_only=True)
class RangeSuspicion:
    """Another input range under which the model is far better.

    Attributes:
        given: as asked for.
        given_top1: the float model's accuracy with it, a fraction of 1.
        better: the one that it seems to be made for.
        better_top1: its accuracy with that one.
    """

    given: InputRange
    given_top1: float
    better: InputRange
    better_top1: float

    def sentence(self) -> str:
        """What a user is told."""
        return (
            f"expected pixels in the model's own range, found that --input-range {self.given.lo:g},"
            f"{self.given.hi:g} gives {self.given_top1:.1%} of labels and {self.better.lo:g},"
            f"{self.better.hi:g} gives {self.better_top1:.1%}. Use --input-range {self.better.lo:g},"
            f"{self.better.hi:g}"
        )


def suspect_range(
    graph: Graph, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], given: InputRange
) -> RangeSuspicion | None:
    """Try the common input ranges; report one that is better by 20 percentage points or more.

    A network of ReLUs without biases is right at any scale, so a small difference says nothing.

    Args:
        graph: a float graph of a classifier.
        images: uint8 of shape (n, H, W, C), n >= 1.
        labels: int64 of shape (n,).
        given: the range that was asked for.
    """

    def top1(tried: InputRange) -> float:
        return float(np.mean(run_logits(graph, images, input_range=tried).argmax(axis=1) == labels))

    found = top1(given)
    others = [(top1(tried), tried) for tried in COMMON_RANGES if tried != given]
    best, better = max(others, key=lambda pair: pair[0])
    if best < found + 0.2:
        return None
    return RangeSuspicion(given=given, given_top1=found, better=better, better_top1=best)
