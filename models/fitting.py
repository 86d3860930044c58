"""Whether a model has one input and one output of fixed shape, and takes the data's images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mnist_export.core.errors import InputError
from mnist_export.data.limits import shown
from mnist_export.models.judging import check_outputs
from mnist_export.models.outputs import output_names

if TYPE_CHECKING:
    from pathlib import Path

    from mnist_export.data.dataset import Dataset
    from mnist_export.models.foreign.building import Built
    from mnist_export.models.loaded import LoadedModel


def check_interface(built: Built, path: Path, *, several: bool = False) -> None:
    """Refuse several inputs or outputs, and an input of no fixed shape."""
    model = built.model
    shapes = {"input": model.input_shape}
    if not several:
        shapes["output"] = model.output_shape
    for side, shape in shapes.items():
        if not isinstance(shape, tuple) or (shape and isinstance(shape[0], (tuple, list))):
            count = len(shape) if hasattr(shape, "__len__") else "no"
            raise InputError(
                f"{shown(path)}: expected a model of one {side}, found {count}. "
                + ("Save one of one image." if side == "input" else _choose(model))
            )
    tail = shapes["input"][1:]
    if len(tail) not in {1, 2, 3} or any(size is None for size in tail):
        raise InputError(
            f"{shown(path)}: expected an input of fixed shape (height, width, channels), (height, width) or "
            f"(pixels,), found {tail}. Save the model with a fixed input shape."
        )


def _choose(model: Any) -> str:
    names = ", ".join(shown(name) for name in output_names(model))
    return f"Choose one with `output_name`: {names}."


def check_fit(loaded: LoadedModel, dataset: Dataset, *, classes: bool) -> None:
    """Refuse data whose images the model does not take, or whose y it does not give where `classes`."""
    image, takes = tuple(dataset.image_shape), loaded.input_shape
    fits = takes == image or (image[2] == 1 and takes == image[:2]) or takes == (math.prod(image),)
    if not fits:
        raise InputError(
            f"model '{loaded.name}': expected to take the images of {shown(dataset.name)}, {image}, found "
            f"that it takes {takes}. Choose the data that it was trained on with `data`."
        )
    if classes:
        check_outputs(loaded, dataset)
