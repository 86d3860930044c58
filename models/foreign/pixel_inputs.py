"""Models whose input is uint8: read with a float32 input, into which the pixels 0 to 255 go as they are."""

from __future__ import annotations

from typing import Any, Final

from mnist_export.models.foreign.parts import parts_of

NOTE: Final = "its input is uint8: it takes raw pixels, 0 to 255, and was rebuilt to take them as float32"


def to_float_input(config: Any) -> bool:
    """Put float32 where a configuration's inputs are uint8.

    The first layer, such as Rescaling, casts to float32 anyhow: the values are the same.

    Args:
        config: a model's, as plain JSON, not judged yet; changed in place.

    Returns:
        Whether anything was changed.
    """
    found, changed = [], False
    for part in parts_of(config):
        settings = part.get("config")
        if isinstance(settings, dict) and settings.get("dtype") == "uint8":
            if part.get("class_name") == "InputLayer":
                settings["dtype"], changed = "float32", True
            elif part.get("class_name") == "__keras_tensor__":
                found.append(settings)
    for settings in found if changed else ():
        settings["dtype"] = "float32"
    return changed
