"""Pruning and clustering through tfmot, alone, together, and kept through quantization-aware training.

References: Zhu and Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model
compression", 2017 (the magnitude schedule); Han et al., "Deep Compression", ICLR 2016 (shared weights).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.models.structure.scopes import own_names
from mnist_export.quantize.training.finetune import FineTuning, Tuned, fine_tune
from mnist_export.quantize.training.qat import toolkit

PRUNING_RATE = 0.5
"""Pruning takes weights away and the others have to move: larger steps than other fine-tuning.

LeNet-5 on MNIST at 80 % zeros, two epochs, then two of quantization-aware training: 98.91 % with a half,
98.53 % with a tenth."""

_WEIGHTED = ("Conv2D", "Dense")
"""Depthwise kernels are left out: a few weights a channel, and some stand for a normalization's signs."""


@dataclass(frozen=True, kw_only=True)
class CompressionConfig:
    """What is asked for.

    Attributes:
        sparsity: share of each layer's weights that become 0, or None.
        clusters: distinct weights a layer, or None.
    """

    sparsity: float | None = None
    clusters: int | None = None

    def __post_init__(self) -> None:
        """Refuse shares and counts that leave no network, or none that is smaller."""
        if self.sparsity is not None and not 0.0 < self.sparsity < 1.0:
            raise InputError(
                f"`sparsity`: expected a fraction above 0 and below 1, found {self.sparsity:g}. "
                "Example: `sparsity=0.8`"
            )
        if self.clusters is not None and not 2 <= self.clusters <= 256:
            raise InputError(
                f"`clusters`: expected 2 to 256 distinct weights a layer, found {self.clusters}. "
                "Example: `clusters=16`"
            )

    @property
    def wanted(self) -> bool:
        """Whether there is anything to do."""
        return self.sparsity is not None or self.clusters is not None

    @property
    def variant(self) -> str:
        """What files are called, such as ``sparse80-clusters16``."""
        parts = []
        if self.sparsity is not None:
            parts.append(f"sparse{self.sparsity * 100:g}")
        if self.clusters is not None:
            parts.append(f"clusters{self.clusters}")
        return "-".join(parts)

    def scheme(self) -> Any:
        """The tfmot quantization scheme that keeps zeros, or clusters, or both, while it trains."""
        toolkit()
        if self.clusters is not None:
            from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.cluster_preserve import (  # noqa: E501 - the module's own name
                default_8bit_cluster_preserve_quantize_scheme as cluster_preserve,
            )

            return cluster_preserve.Default8BitClusterPreserveQuantizeScheme(
                preserve_sparsity=self.sparsity is not None
            )
        if self.sparsity is not None:
            from tensorflow_model_optimization.python.core.quantization.keras.collab_opts.prune_preserve import (  # noqa: E501 - the module's own name
                default_8bit_prune_preserve_quantize_scheme as prune_preserve,
            )

            return prune_preserve.Default8BitPrunePreserveQuantizeScheme()
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Compressed:
    """A compressed float model.

    Attributes:
        model: a plain tf_keras model: tfmot's wrappers are stripped.
        tuned: how each step's training went, by its name.
        notes: what was done, in sentences.
    """

    model: Any
    tuned: dict[str, Tuned]
    notes: tuple[str, ...]


def compress(rebuilt: Any, config: CompressionConfig, how: FineTuning) -> Compressed:
    """Prune, then cluster, each with fine-tuning, and strip tfmot's wrappers.

    Args:
        rebuilt: a functional tf_keras model; it is left as it was.
        config: what is asked for.
        how: data, epochs (of each step) and recipe.

    Raises:
        UnsupportedError: tfmot cannot wrap a layer; the message carries its name.
    """
    model = rebuilt
    tuned: dict[str, Tuned] = {}
    notes: list[str] = []
    if config.sparsity is not None:
        model, tuned["pruning"] = _prune(model, config.sparsity, replace(how, rate_factor=PRUNING_RATE))
        notes.append(f"pruned to {config.sparsity:.0%} zeros a layer over {how.epochs} epochs")
    if config.clusters is not None:
        kept = config.sparsity is not None
        model, tuned["clustering"] = _cluster(model, config.clusters, how, preserve_sparsity=kept)
        notes.append(f"weights shared in {config.clusters} clusters a layer over {how.epochs} epochs")
    return Compressed(model=model, tuned=tuned, notes=tuple(notes))


def _wrapped(model: Any, wrap: Callable[[Any], Any], what: str) -> Any:
    """A copy of a model with its weighted layers in tfmot's wrappers.

    The wrappers take layers over, and find their centroids in the weights that these hold: so the
    copy comes first, weights and all, and the given model stays as it was.
    """
    from tf_keras.models import clone_model

    def each(layer: Any) -> Any:
        return wrap(layer) if type(layer).__name__ in _WEIGHTED else layer

    try:
        return clone_model(copied(model), clone_function=each)
    except (ValueError, RuntimeError, AttributeError) as error:
        reason = own_names(" ".join(str(error).split()))[:300]
        raise UnsupportedError(
            f"{what} of '{own_names(model.name)}': tfmot says: {reason} Leave it out."
        ) from error


def _prune(model: Any, sparsity: float, how: FineTuning) -> tuple[Any, Tuned]:
    tfmot = toolkit()
    per_epoch = max(1, how.steps // how.epochs)
    # Zeros grow over the first two thirds; only epochs after that may be kept.
    end = max(1, how.steps * 2 // 3)
    frequency = max(1, min(100, end // 10))
    end -= end % frequency  # else the last update comes before the end, short of the final share
    schedule = tfmot.sparsity.keras.PolynomialDecay(
        initial_sparsity=min(0.5, sparsity / 2),
        final_sparsity=sparsity,
        begin_step=0,
        end_step=end,
        frequency=frequency,
    )
    made = _wrapped(model, lambda layer: tfmot.sparsity.keras.prune_low_magnitude(layer, schedule), "pruning")
    tuned = fine_tune(
        made,
        how,
        name=f"{own_names(model.name)} pruning",
        callbacks=[tfmot.sparsity.keras.UpdatePruningStep()],
        accept_from=min(how.epochs - 1, -(-end // per_epoch)),
    )
    return copied(tfmot.sparsity.keras.strip_pruning(made)), tuned


def _cluster(model: Any, clusters: int, how: FineTuning, *, preserve_sparsity: bool) -> tuple[Any, Tuned]:
    tfmot = toolkit()
    keras = tfmot.clustering.keras
    settings: dict[str, Any] = {
        "number_of_clusters": clusters,
        "cluster_centroids_init": keras.CentroidInitialization.KMEANS_PLUS_PLUS,
    }
    if preserve_sparsity:
        from tensorflow_model_optimization.python.core.clustering.keras.experimental import cluster

        settings["preserve_sparsity"] = True
        wrap = cluster.cluster_weights
    else:
        wrap = keras.cluster_weights
    np.random.seed(how.seed)  # tfmot draws its centroids from numpy's global state
    made = _wrapped(model, lambda layer: wrap(layer, **settings), "clustering")
    tuned = fine_tune(made, how, name=f"{own_names(model.name)} clustering")
    return copied(keras.strip_clustering(made)), tuned


def copied(model: Any) -> Any:
    """A model of its own layers with the same weights."""
    from tf_keras.models import clone_model

    made = clone_model(model)
    made.set_weights(model.get_weights())
    return made
