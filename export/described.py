"""What exported files are called and say about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mnist_export.models.outputs import ModelOutput


@dataclass(frozen=True, kw_only=True)
class Described:
    """What the files are called and say about themselves.

    Attributes:
        name: the model's name.
        data: the data set's name where the weights belong to it; it becomes part of file names.
        class_names: one name a class.
        source_sha256: hash of the model that was converted.
        data_sha256: file name to hash, of the data that calibration images came from.
        seed: what chose the calibration images.
        head: what the outputs are, see `models.loaded.LoadedModel`.
        threshold: of sigmoids, see `models.loaded.LoadedModel`.
        outputs: each of several, in the files' order; empty for one.
    """

    name: str
    data: str | None
    class_names: tuple[str, ...]
    source_sha256: str
    data_sha256: Mapping[str, str]
    seed: int = 0
    head: str = "classes"
    threshold: tuple[float, ...] = ()
    outputs: tuple[ModelOutput, ...] = ()
