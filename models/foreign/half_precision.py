"""Models that were trained in mixed precision, read in float32: their weights are float32 already."""

from __future__ import annotations

from typing import Any, Final

from mnist_export.models.foreign.parts import parts_of

NOTE: Final = "trained in mixed precision; rebuilt in float32, which its weights are stored in"

_POLICIES: Final = frozenset({"mixed_float16", "mixed_bfloat16", "float16", "bfloat16"})
_CLASSES: Final = frozenset({"DTypePolicy", "FloatDTypePolicy", "Policy"})
_TYPES: Final = frozenset({"float16", "bfloat16"})


def to_float32(config: Any) -> bool:
    """Put float32 where a configuration computes in half precision.

    Args:
        config: a model's, as plain JSON, not judged yet; changed in place.

    Returns:
        Whether anything was changed.
    """
    changed = False
    for part in parts_of(config):
        settings = part.get("config")
        kind = part.get("class_name")
        if isinstance(settings, dict) and isinstance(kind, str):
            key = {"__keras_tensor__": "dtype"}.get(kind, "name" if kind in _CLASSES else "dtype")
            known = _TYPES if kind == "__keras_tensor__" else _POLICIES
            value = settings.get(key)
            if isinstance(value, str) and value in known:
                settings[key], changed = "float32", True
    return changed
