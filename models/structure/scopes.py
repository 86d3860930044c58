"""Layer names that Keras 3 takes and TensorFlow's scopes do not: stand-ins while TensorFlow is at work.

Keras 3 lets a layer be called ``my layer`` or ``größe``; a graph that is traced from it opens a scope of
that name, which TensorFlow refuses, and Keras 2 (tf_keras) refuses the layer itself. A stand-in says the
name in hexadecimal digits, so that it can be read back from whatever it became a part of.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from mnist_export.models.structure.engine import tensorflow
from mnist_export.models.structure.nodes import is_operation, leaves

# Narrower than TensorFlow's own rule, which differs between the outermost scope and those within.
_SAFE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.-]*")
_STAND_IN = re.compile(r"mxname\.((?:[0-9a-f]{2})*)\.")


def stand_in(name: str) -> str:
    """The name itself where TensorFlow takes it as a scope, else one that `own_names` turns back into it."""
    if _SAFE.fullmatch(name) and not _STAND_IN.search(name):
        return name
    return f"mxname.{name.encode('utf-8', errors='surrogatepass').hex()}."


def own_names(text: str) -> str:
    """A text in which every stand-in is replaced by the name that it stands for."""

    def own(found: re.Match[str]) -> str:
        return bytes.fromhex(found[1]).decode("utf-8", errors="replace")

    return _STAND_IN.sub(own, text)


@contextlib.contextmanager
def renamed_layers(layers: list[Any], names: list[str]) -> Iterator[None]:
    """Give layers other names and take them back.

    Args:
        layers: of Keras 3 or tf_keras.
        names: as many.
    """
    # tf_keras keeps the name in _name behind a property; Keras 3 in the attribute itself.
    held = [(layer, "_name" if "_name" in vars(layer) else "name", layer.name) for layer in layers]
    try:
        for (layer, attribute, _), name in zip(held, names, strict=True):
            setattr(layer, attribute, name)
        yield
    finally:
        for layer, attribute, name in held:
            setattr(layer, attribute, name)


@contextlib.contextmanager
def scoped_operations(model: Any) -> Iterator[list[Any]]:
    """Let a Keras 3 model's operations open scopes of their names when they are called, as layers do.

    Args:
        model: of Keras 3; any other, and any callable, has none.

    Yields:
        The operations, those of nested models too.
    """
    found = [part for part in leaves(model) if is_operation(part)] if hasattr(model, "layers") else []
    for operation in found:
        operation.call = _in_scope(operation)
    try:
        yield found
    finally:
        for operation in found:
            del operation.call


def _in_scope(operation: Any) -> Callable[..., Any]:
    call = operation.call

    def scoped(*args: Any, **kwargs: Any) -> Any:
        with tensorflow().name_scope(operation.name):
            return call(*args, **kwargs)

    return scoped


def traceable(model: Any) -> Any:
    """A Keras 3 model that TensorFlow can trace whatever its layers are called.

    Args:
        model: a built functional or Sequential model.

    Returns:
        The model itself where all names are scopes, else one of the same layers and the same name, which
        wear stand-ins while it is called.
    """
    odd = [layer for layer in model._flatten_layers(recursive=True) if stand_in(layer.name) != layer.name]
    if not odd:
        return model
    import keras

    class AnyNames(keras.Model):  # type: ignore[misc]
        """A functional model whose layers wear stand-ins while it is called."""

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            layers = [self, *self._flatten_layers(include_self=False, recursive=True)]
            with renamed_layers(layers, [stand_in(layer.name) for layer in layers]):
                return super().__call__(*args, **kwargs)

    return AnyNames(
        inputs=model.inputs[0],
        outputs=model.outputs if len(model.outputs) > 1 else model.outputs[0],
        name=model.name,
    )
