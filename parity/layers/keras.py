"""Layer outputs of a Keras model, Keras 3 or tf_keras."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.parity.layers.activations import Activation

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
    """Read the output of every layer, those of models within the model too; see `activations.activations_of`.

    A layer that is called several times gives as many outputs.
    """
    found: list[Activation] = []
    with contextlib.ExitStack() as stack:
        for layer in _leaves(runner.model):
            if type(layer).__name__ not in _TRANSPARENT:
                stack.enter_context(_recorded(layer, found))
        runner.model(runner.prepare(images), training=False)
    if not found:
        raise InputError(
            f"{runner.label}: no layer's output can be read; expected a Sequential or functional model, or "
            "one that calls layers of Keras."
        )
    return found


def _leaves(model: Any) -> list[Any]:
    """Layers and operations that compute, not the models that hold them."""
    held = getattr(model, "operations", None)
    leaves: list[Any] = []
    for layer in held if held is not None else model.layers:
        leaves += _leaves(layer) if hasattr(layer, "layers") else [layer]
    return leaves


@contextlib.contextmanager
def _recorded(layer: Any, found: list[Activation]) -> Iterator[None]:
    """Note what a layer's ``call`` returns."""
    call = layer.call

    @functools.wraps(call)
    def recording(*args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        if not isinstance(result, (list, tuple, dict)):
            found.append(Activation(name=str(layer.name), kind=type(layer).__name__, values=_array(result)))
        return result

    own = vars(layer).get("call")
    object.__setattr__(layer, "call", recording)  # Keras would track it
    try:
        yield
    finally:
        if own is None:
            object.__delattr__(layer, "call")
        else:
            object.__setattr__(layer, "call", own)


def _array(value: Any) -> npt.NDArray[np.float32]:
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    return np.asarray(value, np.float32)
