"""Recurrent layers as a copy of their cell for each step: a loop has no form in a file of plain operators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from mnist_export.core.errors import UnsupportedError
from mnist_export.data.limits import shown
from mnist_export.models.structure.nodes import leaves

MAX_STEPS: Final = 256
"""Steps that are written one by one: each takes some fifteen operators."""


def unroll(model: Any) -> tuple[str, ...]:
    """Set ``unroll`` on every recurrent layer of a model; the values stay the same up to rounding.

    Args:
        model: a built Keras 3 or tf_keras model; its layers are changed.

    Returns:
        A note for each layer that was not unrolled before.

    Raises:
        UnsupportedError: a layer over no fixed number of steps, or too many, or one that keeps state
            between batches; the message names it and the ways out.
    """
    notes = []
    for outer in leaves(model):
        for layer in _recurrent(outer):
            steps = _steps(outer)
            name = shown(layer.name)
            if getattr(layer, "stateful", False):
                raise UnsupportedError(
                    f"layer '{name}': expected answers that depend on one image alone, found a recurrent "
                    "layer with stateful=True. Build it with stateful=False and load the weights."
                )
            if steps is None or steps > MAX_STEPS:
                found = "no fixed number" if steps is None else f"{steps}"
                raise UnsupportedError(
                    f"layer '{name}' ({type(layer).__name__}): expected at most {MAX_STEPS} steps, each of "
                    f"which is written by itself (unroll=True), found {found}. Give the model an input of "
                    "fixed size, or fewer steps (pooling, strides, several rows a step)."
                )
            if not layer.unroll:
                notes.append(f"recurrent layer '{name}' is unrolled over its {steps} steps")
                layer.unroll = True
                if hasattr(layer, "_could_use_gpu_kernel"):  # Keras 2's fused form
                    layer._could_use_gpu_kernel = False
    return tuple(notes)


def _recurrent(layer: Any) -> Iterator[Any]:
    """The recurrent layers in a layer: itself, or those of a wrapper."""
    if hasattr(layer, "unroll") and hasattr(layer, "cell"):
        yield layer
    for name in ("forward_layer", "backward_layer", "layer"):
        inner = getattr(layer, name, None)
        if inner is not None:
            yield from _recurrent(inner)


def _steps(layer: Any) -> int | None:
    """Steps of a recurrent layer, or of what a wrapper hands to one."""
    inputs = layer.input
    shape = (inputs[0] if isinstance(inputs, (list, tuple)) else inputs).shape
    axis = 2 if type(layer).__name__ == "TimeDistributed" else 1
    size = shape[axis] if len(shape) > axis else None
    return None if size is None else int(size)
