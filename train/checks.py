"""Checks of a model and its loss before training, each born of a mistake that trains without a sound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.models.structure.activations import (
    check_output_shape,
    last_activation,
    loss_mismatch,
    takes_logits,
)

FIRST_BATCHES = 200
_STUCK = 0.97


def check_before_training(model: Any, loss: Any, num_classes: int) -> None:
    """Refuse a model whose output has the wrong shape or disagrees with its loss.

    Args:
        model: a built Keras model.
        loss: a Keras loss, its function or its name.
        num_classes: width that the output must have.

    Raises:
        InputError: a Flatten is missing, the output has another width, or activation and loss disagree.
    """
    check_output_shape(model, num_classes)
    if message := loss_mismatch(last_activation(model), takes_logits(loss)):
        raise InputError(f"model '{model.name}': {message}")


def stuck_loss(losses: Sequence[float], num_classes: int) -> str | None:
    """Judge the first batches' losses: they should leave ln(classes), the loss of guessing.

    Args:
        losses: of the first batches, in order; at least 20 of them.
        num_classes: of the data.

    Returns:
        A message where the mean of the last quarter is at least 0.97 ln(classes), else None.
    """
    if len(losses) < 20:
        return None
    last = losses[-(len(losses) // 4) :]
    mean = sum(last) / len(last)
    guessing = math.log(num_classes)
    if math.isfinite(mean) and mean < _STUCK * guessing:
        return None
    return (
        f"after {len(losses)} batches the loss is still {mean:.3f}, that of guessing (ln({num_classes}) = "
        f"{guessing:.3f}). Either the last activation and the loss disagree about logits (activation=None "
        "goes with from_logits=True, 'softmax' with from_logits=False: change one of the two lines), or "
        "the learning rate is far off (`lr`)."
    )
