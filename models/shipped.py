"""Weights that come with this package, and those trained here and kept in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.core.cache import cache_folder
from mnist_export.core.errors import InputError
from mnist_export.core.files import write_atomic
from mnist_export.models.card import ModelCard
from mnist_export.models.registry import ARCHITECTURES
from mnist_export.models.trained import Trained
from mnist_export.models.weights_file import pack_weights, read_weights, weights_sha256

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset

SHIPPED = Path(__file__).parent / "weights"
_SAME_DATA = 0.5


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


def _pair(folder: Path, stem: str, *, shipped: bool) -> KeptWeights | None:
    kept = KeptWeights(weights=folder / f"{stem}.npz", card=folder / f"{stem}.card.json", shipped=shipped)
    return kept if kept.weights.is_file() and kept.card.is_file() else None


def find_shipped(architecture: str, data_name: str) -> KeptWeights | None:
    """Look for weights that come with this package, by the names of architecture and data set."""
    return _pair(SHIPPED, f"{architecture}-{data_name}", shipped=True)


def find_weights(architecture: str, dataset: Dataset) -> KeptWeights | None:
    """Look for weights that were trained on this very data, shipped ones first, then the cache's.

    Shipped weights are taken where at least half of the training images are known to their card: another
    split of the same data is the same data, another data set of the same name is not. Weights of the
    cache were trained on exactly the same training images.
    """
    stem = f"{architecture}-{dataset.name}"
    shipped = find_shipped(architecture, dataset.name)
    if shipped and ModelCard.load(shipped.card).data.share_seen(dataset.train) >= _SAME_DATA:
        return shipped
    kept = _pair(cache_folder() / "models", stem, shipped=False)
    if kept and ModelCard.load(kept.card).data.images_sha256 == dataset.train.images_sha256():
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


def _arrays(model: Any) -> list[Any]:
    return list(model.get_weights())
