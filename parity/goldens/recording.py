"""Records a golden of integers: chooses images, runs the file, notes what it answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.pixel_rules import rule_to_json
from mnist_export.parity.goldens.choosing import choose
from mnist_export.parity.integer_golden import (
    MOST_IMAGES,
    TYPES,
    IntegerGolden,
    IntegersMeta,
    pixels_sha256,
)

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.runtime.runners.runner import Runner

DEFAULT_IMAGES: Final = 64
FORMATS: Final = ("tflite", "onnx", "c")


def record_integers(
    runner: Runner,
    dataset: Dataset,
    count: int = DEFAULT_IMAGES,
    *,
    data: str | None = None,
    composed: bool = True,
    notify: Callable[[str], None] = lambda _: None,
) -> IntegerGolden:
    """Choose images and keep the file's own integers for them.

    Args:
        runner: a .tflite, .onnx or .c with integer outputs, open.
        dataset: the images are chosen from its ``test`` part.
        count: how many images to keep.
        data: the data set's name as ``--data`` takes it; None takes the data set's own.
        composed: see `choosing.choose`.
        notify: told what is being done.

    Raises:
        InputError: no exported file, or a count out of range.
        UnsupportedError: the file's output is not of integers.
    """
    source = runner.source
    if source is None or source.format not in FORMATS:
        raise InputError(
            f"{runner.label}: expected a .tflite, .onnx or .c file, whose own integers can be kept. Export "
            "the model first, or record its answers without `integers`."
        )
    if not 1 <= count <= MOST_IMAGES:
        raise InputError(f"`images`: expected 1 to {MOST_IMAGES} of a golden of integers, found {count}.")
    quant = runner.output.quant
    if quant is None or str(runner.output.dtype) not in TYPES:
        raise UnsupportedError(
            f"{runner.label}: expected outputs of type {', '.join(TYPES)}, found {runner.output.dtype}. "
            'Export it with an integer output (`int8`, `io="int8"`), or record answers without `integers`.'
        )
    chosen = choose(runner, dataset.test.images, count, composed=composed, notify=notify)
    images = np.ascontiguousarray(chosen.images)
    meta = IntegersMeta(
        model=runner.label,
        format=source.format,
        sha256=source.sha256,
        data=data or dataset.name,
        chosen=chosen.how,
        images=len(images),
        image_shape=dataset.image_shape,
        images_sha256=pixels_sha256(images),
        classes=runner.num_classes,
        output_type=str(runner.output.dtype),
        scale=float(quant.scale[0]),
        zero_point=int(quant.zero_point[0]),
        pixels=rule_to_json(runner.input_range),
        runtime=runner.name,
        kernels=source.kernels,
    )
    return IntegerGolden(
        meta=meta,
        images=images,
        outputs=runner.run_integers(images),
        places=np.asarray(chosen.places, np.int64),
    )
