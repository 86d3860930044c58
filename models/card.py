"""Model cards: what a trained model is, in JSON beside its weights."""

from __future__ import annotations

import heapq
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.core.errors import InputError
from mnist_export.models.history import History

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset, Split

SCHEMA_VERSION = 1
_SKETCH_SIZE = 256
_LEAK_SHARE = 0.05


def _image_keys(split: Split) -> set[str]:
    return {blake2b(image.tobytes(), digest_size=8).hexdigest() for image in split.images}


@dataclass(frozen=True, kw_only=True)
class TrainingData:
    """What a model was trained on, without the images.

    Attributes:
        name: of the data set.
        images: how many.
        images_sha256: hash of all of them, in order (``Split.images_sha256``).
        sketch: the 256 smallest 8-byte BLAKE2 hashes of single images, hex: a bottom-k sketch, from
            which the overlap with any other set of images can be estimated (Cohen and Kaplan,
            "Summarizing Data using Bottom-k Sketches", PODC 2007).
        class_names: one name a class.
    """

    name: str
    images: int
    images_sha256: str
    sketch: tuple[str, ...]
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> TrainingData:
        """Describe a data set's training part."""
        return cls(
            name=dataset.name,
            images=len(dataset.train),
            images_sha256=dataset.train.images_sha256(),
            sketch=tuple(heapq.nsmallest(_SKETCH_SIZE, _image_keys(dataset.train))),
            class_names=tuple(dataset.class_names),
        )

    def share_seen(self, split: Split) -> float:
        """Estimate which share of a split's images the model was trained on, 0 to 1."""
        if split.images_sha256() == self.images_sha256:
            return 1.0
        if not self.sketch or not len(split):
            return 0.0
        hits = len(_image_keys(split).intersection(self.sketch))
        return min(1.0, hits / len(self.sketch) * self.images / len(split))


@dataclass(frozen=True, kw_only=True)
class Score:
    """Result on one part of the data.

    Attributes:
        top1: share of images classified right.
        top1_interval: its 95 % Wilson interval.
        loss: mean cross-entropy in nats.
        images: how many.
    """

    top1: float
    top1_interval: tuple[float, float]
    loss: float
    images: int


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a trained model is.

    Attributes:
        name: such as ``"lenet5-mnist"``.
        architecture: name in the zoo.
        data: what it was trained on.
        input_shape: without the batch.
        input_range: what pixel values 0 and 255 become.
        num_classes: width of the logits.
        parameters: count, those that do not train too.
        macs: multiply-accumulates of one image.
        recipe: `Recipe.to_json`.
        trainer: ``"fit"`` or ``"loop"``.
        seed: of the training.
        history: figures of every epoch.
        epochs_run: how many.
        best_epoch: whose weights these are, counted from 1; chosen on the validation part.
        seconds: wall time of the training.
        machine: where, in words.
        validation: score on the part that the choice was made on.
        test: score on the test part, evaluated once, after the choice.
        weights_sha256: hash of all weights, in order; see `mnist_export.models.weights`.
        versions: package to version.
    """

    name: str
    architecture: str
    data: TrainingData
    input_shape: tuple[int, ...]
    input_range: tuple[float, float]
    num_classes: int
    parameters: int
    macs: int
    recipe: dict[str, Any]
    trainer: str
    seed: int
    history: History
    epochs_run: int
    best_epoch: int
    seconds: float
    machine: str
    validation: Score
    test: Score
    weights_sha256: str
    versions: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """A plain mapping that `from_json` reads back."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    def to_bytes(self) -> bytes:
        """The card's file: indented JSON, UTF-8, the history's numbers rounded to 6 digits."""
        return (json.dumps(_compact(self.to_json()), indent=1, ensure_ascii=False) + "\n").encode()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ModelCard:
        """Rebuild a card.

        Raises:
            InputError: another schema version, or fields missing, unknown or of the wrong kind.
        """
        try:
            fields = dict(value)
            version = fields.pop("schema_version")
            if version != SCHEMA_VERSION:
                raise InputError(
                    f"model card: expected schema version {SCHEMA_VERSION}, found {version}. "
                    "Use the mnist-export that wrote it, or train again."
                )
            data = dict(fields["data"])
            data |= {key: tuple(map(str, data[key])) for key in ("sketch", "class_names")}
            fields["data"] = TrainingData(**data)
            fields["input_shape"] = tuple(int(size) for size in fields["input_shape"])
            lo, hi = fields["input_range"]
            fields["input_range"] = (float(lo), float(hi))
            fields["history"] = History(
                **{key: tuple(float(v) for v in values) for key, values in fields["history"].items()}
            )
            for part in ("validation", "test"):
                score = dict(fields[part])
                low, high = score["top1_interval"]
                fields[part] = Score(**(score | {"top1_interval": (float(low), float(high))}))
            return cls(**fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"model card: expected its fields, found a problem with {error}.") from error

    @classmethod
    def load(cls, path: Path) -> ModelCard:
        """Read a card's file.

        Raises:
            InputError: it cannot be read, is no JSON or no card.
        """
        try:
            if path.stat().st_size > 4 << 20:
                raise InputError(f"{path}: expected a model card of at most 4 MiB, found a larger file.")
            value = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: expected a model card in JSON, found {error}.") from error
        if not isinstance(value, dict):
            raise InputError(f"{path}: expected a model card in JSON, found a {type(value).__name__}.")
        return cls.from_json(value)


def _compact(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if isinstance(value, dict):
        return {key: _compact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_compact(item) for item in value]
    return value


def refuse_training_data(card: ModelCard | None, split: Split, what: str = "the evaluation data") -> None:
    """Refuse to judge a model on images that it was trained on.

    Args:
        card: of the model; None (an unknown model) passes.
        split: what it shall be judged on.
        what: how to call that in the message.

    Raises:
        InputError: more than about 5 % of the images are training images, by their hashes.
    """
    if card is None:
        return
    share = card.data.share_seen(split)
    if share > _LEAK_SHARE:
        raise InputError(
            f"{what}: expected images that '{card.name}' has not seen, found that about {share:.0%} of them "
            f"were trained on ({card.data.name}, by the hashes in its model card): accuracy on them says "
            "nothing. Judge it on test images."
        )


def refuse_overlap(dataset: Dataset, training: TrainingData) -> None:
    """Refuse to train where the test part holds training images.

    Args:
        dataset: its validation and test parts are looked at.
        training: its training part, described.

    Raises:
        InputError: more than about 5 % of a part are training images.
    """
    for part in ("validation", "test"):
        share = training.share_seen(dataset.parts()[part])
        if share > _LEAK_SHARE:
            raise InputError(
                f"data {dataset.name}: expected {part} images that are not trained on, found about "
                f"{share:.0%} of them among the training images: accuracy on them says nothing. Part them."
            )
