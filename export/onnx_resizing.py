"""How resizing is written in ONNX.

Reference: tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h and resize_bilinear.h.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Op
from mnist_export.export.onnx_builder import OnnxBuilder, has_codes, refuse

WEIGHT_BITS = 11
"""XNNPACK's weights of two pixels are whole multiples of ``2**-11``."""


def nearest_places(size: int, wanted: int, *, align_corners: bool, half_pixel: bool) -> npt.NDArray[np.int64]:
    """The pixel that each pixel of a resized axis takes, by LiteRT's rule in float32.

    Args:
        size: pixels before.
        wanted: pixels after.
        align_corners: the outer pixels' centres lie on each other; a half is rounded away from zero.
        half_pixel: coordinates are those of pixels' centres.
    """
    whole = (size - 1) / (wanted - 1) if align_corners and wanted > 1 else size / wanted
    scale, offset = np.float32(whole), np.float32(0.5 if half_pixel else 0.0)
    place = (np.arange(wanted, dtype=np.float32) + offset) * scale
    chosen = np.floor(place + np.float32(0.5)) if align_corners else np.floor(place)
    places: npt.NDArray[np.int64] = np.clip(chosen, 0, size - 1).astype(np.int64)
    return places


def resize_nearest(builder: OnnxBuilder, op: Op) -> str:
    """RESIZE_NEAREST_NEIGHBOR as two Gathers, which take LiteRT's very pixels."""
    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    codes = has_codes(target)
    first = op.inputs[0] in builder.channels_last_values
    value = builder.codes[op.inputs[0]] if codes else builder.real(op.inputs[0])
    for axis in (1, 2):
        places = nearest_places(
            source.shape[axis],
            target.shape[axis],
            align_corners=bool(op.options.get("alignCorners")),
            half_pixel=bool(op.options.get("halfPixelCenters")),
        )
        index = builder.constant(f"{target.name}/places", places)
        value = builder.node(
            "Gather", [value, index], f"{target.name}/resized", axis=axis if first else axis + 1
        )
    if first:
        builder.channels_last_values.add(op.outputs[0])
    (builder.codes if codes else builder.real_values)[op.outputs[0]] = value
    return ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Mixed:
    """How each pixel of a resized axis is mixed from two.

    Attributes:
        lower: the first pixel's place, shape (wanted,).
        upper: the second's.
        weight: of the second, in steps of ``2**-WEIGHT_BITS``.
    """

    lower: npt.NDArray[np.int64]
    upper: npt.NDArray[np.int64]
    weight: npt.NDArray[np.int32]


def mixed_places(size: int, wanted: int, *, align_corners: bool, half_pixel: bool) -> Mixed:
    """The pixels that each pixel of a resized axis is mixed from, by XNNPACK's rule in float32.

    Args:
        size: pixels before.
        wanted: pixels after.
        align_corners: the outer pixels' centres lie on each other.
        half_pixel: coordinates are those of pixels' centres.

    Reference: XNNPACK, src/indirection.c, xnn_indirection_init_resize_bilinear2d_hwc_q11.
    """
    whole = (size - 1) / (wanted - 1) if align_corners and wanted > 1 else size / wanted
    scale, half = np.float32(whole), np.float32(0.5)
    place = np.arange(wanted, dtype=np.float32)
    place = (place + half) * scale - half if half_pixel else place * scale
    place = np.clip(place, np.float32(0), np.float32(size - 1))
    lower = np.floor(place).astype(np.int64)
    weight = np.rint((place - lower.astype(np.float32)) * np.float32(1 << WEIGHT_BITS)).astype(np.int32)
    return Mixed(lower=lower, upper=np.minimum(lower + 1, size - 1), weight=weight)


def _mixed_codes(builder: OnnxBuilder, op: Op) -> str:
    """RESIZE_BILINEAR of codes: XNNPACK's very sums, and its rounding, a half up."""
    from onnx import TensorProto

    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    sizes = [(source.shape[axis], target.shape[axis]) for axis in (1, 2)]
    settings = {
        "align_corners": bool(op.options.get("alignCorners")),
        "half_pixel": bool(op.options.get("halfPixelCenters")),
    }
    ways = [mixed_places(size, wanted, **settings) for size, wanted in sizes]
    name, first = target.name, op.inputs[0] in builder.channels_last_values
    value = builder.codes[op.inputs[0]]
    if all(not mixed.weight.any() for mixed in ways):
        for mixed, axis in zip(ways, (1, 2), strict=True):
            table = builder.constant(f"{name}/places", mixed.lower)
            where = axis if first else axis + 1
            value = builder.node("Gather", [value, table], f"{name}/resized", axis=where)
        made = value
    else:
        if not first and not settings["align_corners"] and _is_exact_in_float(sizes, ways):
            made = _resized(builder, op, value, settings["half_pixel"])
        else:
            made = _summed(builder, name, value, ways, first)
        made = builder.node("Cast", [made], f"{name}/codes", to=TensorProto.UINT8)
    builder.codes[op.outputs[0]] = made
    if first:
        builder.channels_last_values.add(op.outputs[0])
    return ""


def _is_exact_in_float(sizes: Sequence[tuple[int, int]], ways: Sequence[Mixed]) -> bool:
    """Whether float32 holds every sum: scales are powers of two, and weights have few bits."""
    powers = all(float(np.log2(wanted / size)).is_integer() for size, wanted in sizes)
    bits = [WEIGHT_BITS - min((int(w & -w).bit_length() - 1 for w in m.weight if w), default=0) for m in ways]
    return powers and 8 + sum(bits) < np.finfo(np.float32).nmant


def _resized(builder: OnnxBuilder, op: Op, codes: str, half_pixel: bool) -> str:
    """By ONNX's Resize, which is many times faster than sums of integers."""
    from onnx import TensorProto

    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    name = target.name
    scales = [target.shape[axis] / source.shape[axis] for axis in (1, 2)]
    value = builder.node("Cast", [codes], f"{name}/real", to=TensorProto.FLOAT)
    table = builder.constant(f"{name}/scales", np.array([1, 1, *scales], np.float32))
    mode = "half_pixel" if half_pixel else "asymmetric"
    value = builder.node(
        "Resize",
        [value, "", table],
        f"{name}/mixed",
        mode="linear",
        coordinate_transformation_mode=mode,
    )
    half = builder.constant(f"{name}/half", np.array(0.5, np.float32))
    return builder.node("Floor", [builder.node("Add", [value, half], f"{name}/raised")], f"{name}/rounded")


def _summed(builder: OnnxBuilder, name: str, codes: str, ways: Sequence[Mixed], first: bool) -> str:
    """In 32-bit integers; ``first``: the channels are the last axis."""
    from onnx import TensorProto

    value = builder.node("Cast", [codes], f"{name}/integers", to=TensorProto.INT32)
    for axis, mixed in ((2, ways[1]), (1, ways[0])):
        where = axis if first else axis + 1
        spread = [1] * (4 - where)
        spread[0] = -1
        parts = []
        for role, places, weight in (
            ("lower", mixed.lower, (1 << WEIGHT_BITS) - mixed.weight),
            ("upper", mixed.upper, mixed.weight),
        ):
            table = builder.constant(f"{name}/{role}", places)
            part = builder.node("Gather", [value, table], f"{name}/{role}/pixels", axis=where)
            factor = builder.constant(f"{name}/{role}/weight", weight.astype(np.int32).reshape(spread))
            parts.append(builder.node("Mul", [part, factor], f"{name}/{role}/part"))
        value = builder.node("Add", parts, f"{name}/mixed")
    # Codes are uint8 here: sums stay under 2**31, and a quotient that is cut off is one rounded down.
    half = builder.constant(f"{name}/half", np.array(1 << (2 * WEIGHT_BITS - 1), np.int32))
    whole = builder.constant(f"{name}/whole", np.array(1 << (2 * WEIGHT_BITS), np.int32))
    value = builder.node("Add", [value, half], f"{name}/raised")
    return builder.node("Div", [value, whole], f"{name}/rounded")


def resize_bilinear(builder: OnnxBuilder, op: Op) -> str:
    """RESIZE_BILINEAR as Resize by scales (sizes would name the batch); of codes as sums of integers."""
    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    if has_codes(target) and op.inputs[0] in builder.codes:
        return _mixed_codes(builder, op)
    if op.inputs[0] in builder.channels_last_values:
        raise refuse(target, "resizes a tensor that ONNX holds in another order")
    scales = [_scale(source.shape[axis], target.shape[axis]) for axis in (1, 2)]
    table = builder.constant(f"{target.name}/scales", np.array([1, 1, *scales], np.float32))
    mode = "asymmetric"
    if op.options.get("alignCorners"):
        mode = "align_corners"
    elif op.options.get("halfPixelCenters"):
        mode = "half_pixel"
    return builder.node(
        "Resize",
        [builder.real(op.inputs[0]), "", table],
        f"{target.name}/out",
        mode="linear",
        coordinate_transformation_mode=mode,
    )


def _scale(size: int, wanted: int) -> np.float32:
    """The quotient in float32, or the next one up with which ONNX's ``floor(size * scale)`` is right."""
    scale = np.float32(wanted / size)
    while min(np.floor(np.float32(size) * scale), np.floor(size * float(scale))) < wanted:
        scale = np.nextafter(scale, np.float32(np.inf))
    return scale
