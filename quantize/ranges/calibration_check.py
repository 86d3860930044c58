"""Is a calibration to be trusted: do other images of the same data give the same scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.ranges.calibration import OBSERVERS, Range, calibrate, run_activations

UNSTABLE = 0.25
"""A scale that moves by more than a quarter between two halves depends on which images were drawn."""


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
        return f"{text}: the ranges depend on the draw. Use more `calibration_samples`."


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
    return calibrate_and_check(graph, images, input_range=input_range, method=method)[1]


def calibrate_and_check(
    graph: Graph, images: npt.NDArray[np.uint8], *, input_range: InputRange, method: str = "minmax"
) -> tuple[dict[int, Range], ScaleMovement]:
    """`calibrate` and `scale_movement` in one: every image is run once for both.

    Args:
        graph: a float graph.
        images: uint8 of shape (n, H, W, C), n >= 1, in a random order; of one image nothing moves.
        input_range: what pixel values 0 and 255 become for the model.
        method: of calibration.

    Returns:
        Tensor index to range over all images, and how far the ranges of two halves are apart.
    """
    if len(images) < 2:
        ranges = calibrate(graph, images, input_range=input_range, method=method)
        return ranges, ScaleMovement(largest=0.0, median=0.0, layer="", images=0)
    make = OBSERVERS.get(method)
    watched = [i for i in graph.activations() if graph.tensors[i].dtype == np.float32]
    first, second = ({i: make() for i in watched} for _ in range(2))
    # the extremes of all are those of the halves
    whole = {} if method == "minmax" else {i: make() for i in watched}
    for number in range(max(observer.passes for observer in first.values())):
        seen = 0
        for values in run_activations(graph, images, input_range=input_range):
            size = 0
            for index in watched:
                value = values[index]
                size = len(value)
                if index in whole:
                    whole[index].update(value, number)
                # every other image of all, whatever the batches: an odd one turns the next around
                for half, start in ((first, seen % 2), (second, 1 - seen % 2)):
                    if len(part := value[start::2]):
                        half[index].update(part, number)
            seen += size
    one, two = ({i: observer.range() for i, observer in half.items()} for half in (first, second))
    both = {i: Range(lo=min(one[i].lo, two[i].lo), hi=max(one[i].hi, two[i].hi)) for i in watched}
    ranges = {i: whole[i].range() if i in whole else both[i] for i in watched}
    return ranges, _movement(graph, one, two, len(images) // 2)


def _movement(
    graph: Graph, first: Mapping[int, Range], second: Mapping[int, Range], images: int
) -> ScaleMovement:
    moved: dict[str, float] = {}
    for index in first:
        if index in graph.inputs:
            continue
        widths = sorted(_width(half[index]) for half in (first, second))
        if widths[1] > 0:
            moved[graph.tensors[index].name] = widths[1] / widths[0] - 1 if widths[0] > 0 else float("inf")
    if not moved:
        return ScaleMovement(largest=0.0, median=0.0, layer="", images=images)
    worst = max(moved, key=lambda name: moved[name])
    return ScaleMovement(
        largest=moved[worst],
        median=float(np.median(list(moved.values()))),
        layer=worst,
        images=images,
    )


def _width(found: Range) -> float:
    return max(found.hi, 0.0) - min(found.lo, 0.0)
