"""Layer outputs of a Keras model, Keras 3 or tf_keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.runtime.layers.activations import Activation

if TYPE_CHECKING:
    from mnist_export.runtime.runners.keras import KerasRunner

_TRANSPARENT: Final = {
    "InputLayer",
    "Flatten",
    "Reshape",
    "Dropout",
    "SpatialDropout2D",
    "Permute",
    "Rescaling",
}


def read(runner: KerasRunner, images: npt.NDArray[np.uint8]) -> list[Activation]:
    """Read the output of every layer at the top level; see `activations.activations_of`."""
    model = runner.model
    layers = [layer for layer in _layers(model) if type(layer).__name__ not in _TRANSPARENT]
    if runner.framework == "tf_keras":
        import tf_keras as framework
    else:
        import keras as framework
    try:
        probe = framework.Model(model.inputs, [layer.output for layer in layers])
    except (AttributeError, ValueError, TypeError) as error:
        raise InputError(
            f"{runner.label}: its layers cannot be read one by one ({error}). Only Sequential and functional "
            "models can."
        ) from error
    outputs = probe(runner.prepare(images), training=False)
    if not isinstance(outputs, (list, tuple)):
        outputs = [outputs]
    return [
        Activation(name=str(layer.name), kind=type(layer).__name__, values=_array(value))
        for layer, value in zip(layers, outputs, strict=True)
    ]


def _layers(model: Any) -> list[Any]:
    """The layers in the order in which the functional graph computes them."""
    operations = getattr(model, "operations", None)
    return list(operations if operations is not None else model.layers)


def _array(value: Any) -> npt.NDArray[np.float32]:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value, np.float32)
