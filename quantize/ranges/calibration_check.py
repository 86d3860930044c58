"""Is a calibration to be trusted: do other images of the same data give the same scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.ranges.calibration import Range, calibrate

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
