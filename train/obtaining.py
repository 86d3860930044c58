"""Models by name or path, trained now where an architecture has no weights for the data."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mnist_export.data.request import to_stderr
from mnist_export.models.loading import LoadedModel, Notify, load_model
from mnist_export.models.trained import Trained

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.foreign.beside import Beside


def load_or_train(
    spec: str,
    dataset: Dataset | None = None,
    *,
    trust: bool = False,
    notify: Notify = to_stderr,
    until: str | None = None,
    beside: Beside | None = None,
    head: str = "classes",
    threshold: tuple[float, ...] | None = None,
    output_name: str | None = None,
    several: bool = False,
) -> LoadedModel:
    """Load a model as `models.loading.load_model` does; train an architecture that has no weights yet.

    Args:
        spec: an architecture's name or a path.
        dataset: what the model is for; needed for training.
        trust: whether code in a SavedModel may run.
        notify: receives one sentence for whatever the user should know.
        until: name of a layer; the result is the sub-model that ends there.
        beside: the code of a model's own layers, or the architecture of a file of weights.
        head: what the model's outputs are; see `models.judging.HEADS`.
        threshold: of a model's sigmoids; None is 0.5.
        output_name: see `models.loading.load_model`.
        several: see `models.loading.load_model`.

    Raises:
        InputError: see `load_model`; or the training is refused.
        UnsupportedError: see `load_model`.
    """
    return load_model(
        spec, dataset, trust=trust, notify=notify, until=until, train=_train, beside=beside, head=head,
        threshold=threshold, output_name=output_name, several=several,
    )  # fmt: skip


def _train(name: str, dataset: Dataset, notify: Notify) -> Trained:
    from mnist_export.train.training import train_architecture

    return train_architecture(name, dataset, progress=sys.stderr.isatty(), notify=notify)
