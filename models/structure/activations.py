"""How a Keras model ends: its last activation, the shape of its output, and whether a loss fits them."""

from __future__ import annotations

from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.models.structure.nodes import last_part

# Layers, Keras 3's operations and TensorFlow's functions that are an activation by themselves.
_ACTIVATIONS = {
    "softmax": "softmax", "sigmoid": "sigmoid", "relu": "relu", "relu6": "relu", "tanh": "tanh",
    "logsoftmax": "log_softmax", "silu": "silu", "gelu": "gelu", "hardsigmoid": "hard_sigmoid",
}  # fmt: skip


def last_activation(model: Any) -> str:
    """Name the function that makes a Keras model's output: ``"linear"``, ``"softmax"``, ``"sigmoid"``..."""
    layer = last_part(model)
    kind = type(layer).__name__
    if kind == "TFOpLambda":
        kind = str(layer.get_config().get("function", "")).rpartition(".")[2]
    if kind.lower() in _ACTIVATIONS:
        return _ACTIVATIONS[kind.lower()]
    activation = getattr(layer, "activation", None)
    if activation is None:
        return "linear"
    return str(getattr(activation, "__name__", type(activation).__name__)).lower()


def takes_logits(loss: Any) -> bool | None:
    """Whether a Keras loss takes logits; None where it is no cross-entropy or cannot be seen.

    A loss named by a string, or by its function, takes probabilities: that is Keras's default.
    """
    if isinstance(loss, str):
        return False if "crossentropy" in loss.lower().replace("_", "") else None
    name = getattr(loss, "__name__", type(loss).__name__).lower().replace("_", "")
    if "crossentropy" not in name:
        return None
    if hasattr(loss, "from_logits"):
        return bool(loss.from_logits)
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    return bool(config.get("from_logits", False))


def loss_mismatch(activation: str, from_logits: bool | None) -> str | None:
    """Explain a disagreement between the last activation and the loss, or return None where they agree.

    Args:
        activation: of the last layer, as `last_activation` names it.
        from_logits: as `takes_logits` gives it.

    Returns:
        What is wrong and which line to change.
    """
    if from_logits is None:
        return None
    if from_logits and activation in {"softmax", "sigmoid"}:
        return (
            f"the last layer ends in {activation}, but the loss has from_logits=True and applies a softmax "
            "again: the loss hardly falls. Change one line: activation=None in the last layer (this "
            "project's way), or from_logits=False in the loss."
        )
    if not from_logits and activation == "linear":
        return (
            "the last layer gives logits, but the loss takes probabilities (from_logits=False, the default "
            "of a loss named by a string): the loss stays near ln(classes) and the accuracy near chance. "
            "Change one line: loss=SparseCategoricalCrossentropy(from_logits=True) in compile (this "
            "project's way), or activation='softmax' in the last layer."
        )
    return None


def check_output_shape(model: Any, num_classes: int | None) -> None:
    """Refuse an output that is not (batch, classes).

    Raises:
        InputError: see `check_before_training`.
    """
    shape = tuple(model.output_shape)
    if len(shape) > 2:
        raise InputError(
            f"model '{model.name}': expected an output of shape (batch, classes), found {shape}. A Flatten "
            "(or GlobalAveragePooling2D) is missing before the first Dense layer: Dense acts on the last "
            "axis only. Add layers.Flatten() before it."
        )
    if len(shape) != 2 or (num_classes is not None and shape[-1] != num_classes):
        raise InputError(
            f"model '{model.name}': expected an output of shape (batch, {num_classes}), found {shape}. Make "
            "the last Dense layer as wide as the data has classes, or choose other data with `data`."
        )
