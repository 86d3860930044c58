"""Weights that come with this package, and those trained here and kept in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.core.files import sha256_bytes, write_atomic
from mnist_export.train.card import ModelCard
from mnist_export.train.registry import ARCHITECTURES
from mnist_export.train.training import Trained, cache_folder
from mnist_export.train.weights_file import pack_weights, read_weights, weights_sha256

SHIPPED = Path(__file__).parent / "weights"


@dataclass(frozen=True, kw_only=True)
class KeptWeights:
    """A pair of files: weights and card.

    Attributes:
        weights: an .npz.
        card: its model card.
        shipped: whether they come with this package.
    """

    weights: Path
    card: Path
    shipped: bool


def find_weights(architecture: str, data_name: str, images_sha256: str | None = None) -> KeptWeights | None:
    """Look for weights of an architecture on a data set, shipped ones first.

    Args:
        architecture: name in the zoo.
        data_name: the data set's short name.
        images_sha256: of the training images; weights in the cache count only when they were trained
            on those. None accepts any.
    """
    stem = f"{architecture}-{data_name}"
    for folder, shipped in ((SHIPPED, True), (cache_folder() / "models", False)):
        kept = KeptWeights(weights=folder / f"{stem}.npz", card=folder / f"{stem}.card.json", shipped=shipped)
        if not (kept.weights.is_file() and kept.card.is_file()):
            continue
        if shipped or images_sha256 is None:
            return kept
        if ModelCard.load(kept.card).data.images_sha256 == images_sha256:
            return kept
    return None


def load_weights(kept: KeptWeights) -> Trained:
    """Build the architecture and give it the weights.

    Raises:
        InputError: weights and card do not belong together, or one of them is damaged.
    """
    card = ModelCard.load(kept.card)
    model = ARCHITECTURES.get(card.architecture).build_for(card.input_shape, card.num_classes)
    weights = read_weights(kept.weights, [tuple(weight.shape) for weight in model.weights])
    if weights_sha256(weights) != card.weights_sha256:
        raise InputError(
            f"{kept.weights}: expected the weights of its model card ({card.weights_sha256[:12]}...), "
            "found others: the file is damaged. Delete it, or install mnist-export again."
        )
    model.set_weights(weights)
    return Trained(model=model, card=card)


def keep_trained(trained: Trained, folder: Path | None = None) -> KeptWeights:
    """Write a trained model's weights and card, into the cache unless a folder is given.

    Raises:
        OutputError: the folder cannot be written.
    """
    target = folder or cache_folder() / "models"
    stem = trained.card.name
    kept = KeptWeights(
        weights=target / f"{stem}.npz", card=target / f"{stem}.card.json", shipped=folder == SHIPPED
    )
    write_atomic({kept.weights: pack_weights(_arrays(trained.model)), kept.card: trained.card.to_bytes()})
    return kept


def file_sha256(kept: KeptWeights) -> str:
    """Hex SHA-256 of the weights' file."""
    return sha256_bytes(kept.weights.read_bytes())


def _arrays(model: Any) -> list[Any]:
    return list(model.get_weights())
