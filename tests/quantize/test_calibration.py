"""Calibration: what it costs, and whether it can be trusted."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.errors import ConversionError, InputError
from mnist_export.core.graph import Graph
from mnist_export.core.pixels import InputRange
from mnist_export.quantize import SchemeConfig, quantize
from mnist_export.quantize.ranges.calibration import calibrate
from mnist_export.quantize.ranges.calibration_check import scale_movement


def peak(graph: Graph, images: npt.NDArray[np.uint8], method: str) -> int:
    calibrate(graph, images[:64], input_range=InputRange(), method=method)  # loads what is loaded once
    tracemalloc.start()
    calibrate(graph, images, input_range=InputRange(), method=method)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@pytest.mark.parametrize("method", ["minmax", "entropy"])
def test_memory_is_the_same_for_100_and_10000_images(
    tiny_graph: Graph, calibration: npt.NDArray[np.uint8], method: str
) -> None:
    # A view of one block again and again: the images themselves take no memory.
    many = np.broadcast_to(calibration[:100], (100, 100, 28, 28, 1)).reshape(-1, 28, 28, 1)[:10_000]
    few = many[:96]
    # A hundred times the images; a kilobyte an image would be 10 MB.
    assert peak(tiny_graph, many[:10_000], method) < peak(tiny_graph, few, method) + 200_000


def test_ranges_cover_every_activation_and_the_extremes(
    tiny_graph: Graph, calibration: npt.NDArray[np.uint8], unit: InputRange
) -> None:
    ranges = calibrate(tiny_graph, calibration, input_range=unit)
    assert set(ranges) == set(tiny_graph.activations())
    entry = ranges[tiny_graph.inputs[0]]
    assert (entry.lo, entry.hi) == (0.0, 1.0)


def test_no_images_are_refused(tiny_graph: Graph, unit: InputRange) -> None:
    none = np.zeros((0, 28, 28, 1), np.uint8)
    with pytest.raises(InputError, match="at least 1 image"):
        calibrate(tiny_graph, none, input_range=unit)
    with pytest.raises(InputError, match="found none"):
        quantize(tiny_graph, SchemeConfig(), none)


def test_weights_that_are_not_finite_are_named_by_their_layer(
    tiny_graph: Graph, calibration: npt.NDArray[np.uint8], unit: InputRange
) -> None:
    index = next(i for i, t in enumerate(tiny_graph.tensors) if t.name == "conv2/bias")
    broken = replace(tiny_graph.tensors[index], data=np.full(12, np.nan, np.float32))
    with pytest.raises(ConversionError, match="conv2"):
        calibrate(tiny_graph.with_tensors({index: broken}), calibration, input_range=unit)


def test_saturation_is_counted_where_a_method_clips(
    tiny_graph: Graph, calibration: npt.NDArray[np.uint8]
) -> None:
    assert quantize(tiny_graph, SchemeConfig(), calibration).saturation == {}
    found = quantize(tiny_graph, SchemeConfig(calibration_method="percentile"), calibration).saturation
    assert 0 < max(found.values()) < 1e-2


def test_methods_that_weigh_256_codes_are_refused_for_int16() -> None:
    with pytest.raises(InputError, match="minmax or percentile"):
        SchemeConfig(precision="int16x8", calibration_method="entropy")  # type: ignore[arg-type]


def test_scales_of_two_halves_are_close_and_of_two_classes_are_not(
    tiny_graph: Graph, calibration: npt.NDArray[np.uint8], unit: InputRange
) -> None:
    steady = scale_movement(tiny_graph, calibration, input_range=unit)
    assert steady.largest < 0.25
    assert steady.images == 100
    dark = calibration // 4
    mixed = np.stack([calibration, dark], axis=1).reshape(-1, 28, 28, 1)  # every other image is dark
    moved = scale_movement(tiny_graph, mixed, input_range=unit)
    assert not moved.is_stable
    assert "--calibration-samples" in moved.sentence()


def test_movement_needs_two_images(
    tiny_graph: Graph, calibration: npt.NDArray[np.uint8], unit: InputRange
) -> None:
    with pytest.raises(InputError, match="at least 2"):
        scale_movement(tiny_graph, calibration[:1], input_range=unit)
