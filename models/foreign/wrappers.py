"""Takes off wrappers that only matter in training: a layer under spectral normalization is a plain layer."""

from __future__ import annotations

from typing import Any, Final

from mnist_export.data.limits import shown
from mnist_export.models.structure.nodes import leaves

TRAINING_ONLY: Final = frozenset({"SpectralNormalization"})
"""Wrappers that call their layer unchanged at inference: what they learned is in its weights."""


def without_wrappers(model: Any, package: Any) -> tuple[Any, tuple[str, ...]]:
    """Rebuild a model with the wrapped layers in the place, and under the names, of their wrappers.

    Args:
        model: functional or sequential, with its weights, which the result shares.
        package: Keras 3 or tf_keras, whichever it is of.

    Returns:
        The model, and what to say; the model itself where nothing was wrapped.
    """
    wrapped = [layer for layer in leaves(model) if type(layer).__name__ in TRAINING_ONLY]
    if not wrapped:
        return model, ()
    taken = {id(layer): layer.layer for layer in wrapped}
    for layer in wrapped:
        inner = layer.layer
        setattr(inner, "_name" if "_name" in vars(inner) else "name", layer.name)
    plain = _rebuilt(model, taken, package)
    names = ", ".join(shown(layer.name) for layer in wrapped[:5])
    more = f" and {len(wrapped) - 5} more" if len(wrapped) > 5 else ""
    kinds = ", ".join(sorted({type(layer).__name__ for layer in wrapped}))
    return plain, (f"{kinds} taken off {names}{more}: it only matters in training",)


def _rebuilt(model: Any, taken: dict[int, Any], package: Any) -> Any:
    def kept(layer: Any) -> Any:
        if getattr(layer, "layers", None):
            held = any(id(part) in taken for part in leaves(layer))
            return _rebuilt(layer, taken, package) if held else layer
        return taken.get(id(layer), layer)

    return package.models.clone_model(model, clone_function=kept)
