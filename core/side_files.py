"""Files that a command writes beside its results: never over a model, the data or an artifact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mnist_export.core.errors import InputError

_MODELS: Final = frozenset({".tflite", ".onnx", ".keras", ".h5", ".hdf5", ".npz", ".pb", ".c", ".h"})


@dataclass(frozen=True, kw_only=True)
class SideFiles:
    """What else a run writes.

    Attributes:
        junit: JUnit XML goes there.
        summary: a Markdown summary is appended there.
        page: a folder; a page that reads pictures with the .onnx is written there.
    """

    junit: Path | None = None
    summary: Path | None = None
    page: Path | None = None


def check_side_files(options: Mapping[str, Path | None], inputs: Mapping[str, str | Path | None]) -> None:
    """Refuse targets that are inputs, under any name or link, or have the extension of a model.

    Args:
        options: such as ``--junit`` to what was given for it.
        inputs: what it is, such as ``the model``, to its path; what is no path here is passed over.

    Raises:
        InputError: naming the option, what it would overwrite, and what to do.
    """
    for option, target in options.items():
        if target is None:
            continue
        for what, path in inputs.items():
            if path is not None and _same(target, Path(path)):
                raise InputError(f"{option}: '{target}' is {what} itself. Choose another name.")
        if target.suffix.lower() in _MODELS:
            raise InputError(
                f"{option}: expected the name of a new text file, found '{target}', which is a model's or "
                "data's. Choose another name."
            )


def _same(target: Path, path: Path) -> bool:
    try:
        return target.exists() and path.exists() and target.samefile(path)
    except (OSError, ValueError):  # a name too long, or with a null byte
        return False
