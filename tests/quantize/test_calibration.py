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
from mnist_export.quantize.ranges.calibration_check import calibrate_and_check, scale_movement


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
    assert "`calibration_samples`" in moved.sentence()


def test_movement_needs_two_images(
    tiny_graph: Graph, calibration: npt.NDArray[np.uint8], unit: InputRange
) -> None:
    with pytest.raises(InputError, match="at least 2"):
        scale_movement(tiny_graph, calibration[:1], input_range=unit)


@pytest.mark.parametrize("method", ["minmax", "percentile"])
@pytest.mark.parametrize("count", [1, 2, 75])
def test_calibrating_and_checking_in_one_pass_gives_the_ranges_of_two(
    tiny_graph: Graph, calibration: npt.NDArray[np.uint8], unit: InputRange, method: str, count: int
) -> None:
    images = calibration[:count]
    ranges, moved = calibrate_and_check(tiny_graph, images, input_range=unit, method=method)
    assert ranges == calibrate(tiny_graph, images, input_range=unit, method=method)
    if count > 1:
        halves = [
            calibrate(tiny_graph, images[start::2], input_range=unit, method=method) for start in (0, 1)
        ]
        widths = [{i: max(r.hi, 0.0) - min(r.lo, 0.0) for i, r in half.items()} for half in halves]
        name = {i: tiny_graph.tensors[i].name for i in widths[0]}
        (index,) = (i for i, text in name.items() if text == moved.layer)
        assert moved.images == count // 2
        small, large = sorted(half[index] for half in widths)
        assert moved.largest == pytest.approx(large / small - 1, rel=1e-5, abs=1e-5)


def test_large_activations_are_run_few_images_at_a_time(
    tiny_graph: Graph, calibration: npt.NDArray[np.uint8], unit: InputRange, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_export.core.graph.memory import all_activation_bytes
    from mnist_export.quantize.ranges import calibration as room

    whole = calibrate(tiny_graph, calibration[:40], input_range=unit)
    fit = room.fitting
    each = all_activation_bytes(tiny_graph)
    monkeypatch.setattr(room, "fitting", lambda bytes_each, largest: fit(bytes_each, budget_bytes=3 * each))
    sizes = []
    for values in room.run_activations(tiny_graph, calibration[:40], input_range=unit):
        sizes.append(len(values[tiny_graph.outputs[0]]))
    assert sizes == [3] * 13 + [1]
    again = calibrate(tiny_graph, calibration[:40], input_range=unit)
    for index, found in again.items():  # a kernel may sum in another order for another batch
        assert (found.lo, found.hi) == pytest.approx((whole[index].lo, whole[index].hi), rel=1e-5, abs=1e-5)
