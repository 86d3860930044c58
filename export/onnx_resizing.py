"""How resizing is written in ONNX.

Reference: tensorflow/lite/kernels/internal/reference/resize_nearest_neighbor.h and resize_bilinear.h.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Op
from mnist_export.export.onnx_builder import OnnxBuilder, has_codes, refuse


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


def resize_bilinear(builder: OnnxBuilder, op: Op) -> str:
    """RESIZE_BILINEAR as Resize by scales: sizes would name the batch."""
    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
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
