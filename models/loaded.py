"""What loading a model gives: one shape for shipped, trained and foreign models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mnist_export.models.card import ModelCard
from mnist_export.models.foreign.pixel_inputs import NOTE as RAW_PIXELS
from mnist_export.models.outputs import ModelOutput


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """Where a model came from.

    Attributes:
        kind: ``"shipped"`` with this package, ``"file"`` of the user, or ``"trained"`` here.
        path: of the weights or the model.
        sha256: hex, of that file; for a SavedModel of all its files in the order of their names.
    """

    kind: Literal["shipped", "file", "trained"]
    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedModel:
    """A model that is ready to be converted or run.

    Attributes:
        model: callable on float32 (n, *input_shape) in the model's real units, gives float32 logits
            (n, num_classes); takes ``training=False``.
        name: fit for a file name, without the data's name.
        source: where it came from.
        framework: ``"keras"`` (3) or ``"tf_keras"`` (2, and SavedModels).
        input_shape: without the batch.
        num_classes: width of the output.
        parameters: count of all weights.
        macs: multiply-accumulates of one image.
        notes: what was done to it or should be known, such as that a softmax was cut off.
        card: its model card where there is one.
        head: what its outputs are: scores of ``classes``, of several ``labels`` at once, or ``values``.
        threshold: of its sigmoids: the probability from which on a label, or the second of two classes, is
            taken, one or one a label; empty where it ends in none.
        outputs: each of several, whose ``head`` is `outputs.SEVERAL`; the model then gives a list of them.
            Empty for one output.
    """

    model: Any
    name: str
    source: ModelSource
    framework: Literal["keras", "tf_keras"]
    input_shape: tuple[int, ...]
    num_classes: int
    parameters: int
    macs: int
    notes: tuple[str, ...] = ()
    card: ModelCard | None = None
    head: str = "classes"
    threshold: tuple[float, ...] = ()
    outputs: tuple[ModelOutput, ...] = ()

    @property
    def takes_raw_pixels(self) -> bool:
        """Whether its input was uint8: pixels 0 and 255 are 0 and 255 for it."""
        return RAW_PIXELS in self.notes
