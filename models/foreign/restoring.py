"""Puts back what Keras 3 leaves out of an .h5 file: which classes its operations are of.

The format knows names of classes only. An operation, ``x + 3``, is then an ``Add`` like the layer, and Keras
cannot load the file that it saved. But each layer says whether it is trainable, which no operation does.
"""

from __future__ import annotations

import io
import json
from typing import Any

from mnist_export.models.foreign import allowlist

_OPERATIONS = {kind: module for module, kinds in allowlist.OPERATIONS.items() for kind in kinds}
_LAYERS = {kind: module for module, kind in allowlist.APPLICATION_LAYERS}


def restore_modules(config: Any) -> bool:
    """Add the modules of operations, and of layers that keras.applications define, where they are missing.

    Args:
        config: a model's, as plain JSON, not judged yet; changed in place.

    Returns:
        Whether anything was added.
    """
    pending, added = [config], 0
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            module = _missing_module(part)
            if module is not None:
                part["module"], part["registered_name"] = module, part["class_name"]
                added += 1
        if isinstance(part, (dict, list)):
            pending.extend(part.values() if isinstance(part, dict) else part)
    return added > 0


def _missing_module(part: dict[str, Any]) -> str | None:
    kind, settings = part.get("class_name"), part.get("config")
    if not isinstance(kind, str) or not isinstance(settings, dict):
        return None
    if "module" in part or "inbound_nodes" not in part:
        return None
    return (_LAYERS if "trainable" in settings else _OPERATIONS).get(kind)


def with_configuration(content: bytes, config: dict[str, Any]) -> bytes:
    """A copy of an .h5 file with another configuration.

    Args:
        content: a file that was inspected.
        config: the model's.
    """
    import h5py

    stream = io.BytesIO(content)
    with h5py.File(stream, "r+") as file:
        file.attrs["model_config"] = json.dumps(config)
    return stream.getvalue()
