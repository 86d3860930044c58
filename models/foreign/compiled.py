"""How a foreign model was compiled, read from its file as data."""

from __future__ import annotations

from typing import Any

from mnist_export.models.structure.activations import takes_logits


def compiled_takes_logits(compiled: dict[str, Any]) -> bool | None:
    """Whether the loss that a file was compiled with takes logits; None where it does not say.

    Args:
        compiled: ``compile_config`` of a .keras or ``training_config`` of an .h5, as plain JSON.
    """
    loss = compiled.get("loss")
    if isinstance(loss, str):
        return takes_logits(loss)
    if isinstance(loss, dict):
        config = loss.get("config")
        if isinstance(config, dict) and "from_logits" in config:
            return bool(config["from_logits"])
        if isinstance(config, str):
            return takes_logits(config)
    return None
