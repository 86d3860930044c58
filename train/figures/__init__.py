"""Figures of data, trainings and models: PNG bytes from arrays; `write_figures` writes them all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.core.files import write_atomic

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.trained import Trained

__all__ = ["draw_figures", "report_figures", "write_figures"]

_SIDE_BY_SIDE = 4


def draw_figures(results: Sequence[Trained], dataset: Dataset) -> dict[str, bytes]:
    """Draw everything that is to be seen of some trained models and their data.

    Args:
        results: at least one; confusion matrices compare the two best, mistakes the four best, those of
            the best model first.
        dataset: that they were trained on; mistakes are those on its test part.

    Returns:
        File name to PNG, in the order in which one looks at them.
    """
    from mnist_export.core.pixels import InputRange
    from mnist_export.train.evaluation import logits_of, probabilities
    from mnist_export.train.figures.blocks import models_table, structure
    from mnist_export.train.figures.confusion import confusion_matrices
    from mnist_export.train.figures.curves import history_curves
    from mnist_export.train.figures.mistakes import misclassified
    from mnist_export.train.figures.samples import class_distribution, sample_grid

    ordered = sorted(results, key=lambda trained: (-trained.card.test.top1, trained.card.name))
    test = dataset.test
    answers = {}
    for trained in ordered[:_SIDE_BY_SIDE]:
        lo, hi = trained.card.input_range
        logits = logits_of(trained.model, test.images, InputRange(lo=lo, hi=hi))
        answers[trained.card.name] = probabilities(logits)
    two = {name: values.argmax(axis=1) for name, values in list(answers.items())[:2]}
    figures = {
        "samples.png": sample_grid(dataset.train, dataset.class_names),
        "class-distribution.png": class_distribution(dataset),
        "history.png": history_curves({trained.card.name: trained.card.history for trained in ordered}),
        "confusion.png": confusion_matrices(test.labels, two, dataset.class_names),
    }
    if mistakes := misclassified(test.images, test.labels, answers, dataset.class_names):
        figures["misclassified.png"] = mistakes
    for trained in ordered:
        figures[f"structure-{trained.card.architecture}.png"] = structure(trained.model)
    figures["models.png"] = models_table([trained.card for trained in ordered])
    return figures


def write_figures(folder: Path, results: Sequence[Trained], dataset: Dataset) -> list[Path]:
    """Draw the figures and write them, with the table of models as text.

    Args:
        folder: made if it is not there.
        results: see `draw_figures`.
        dataset: see `draw_figures`.

    Returns:
        The files.

    Raises:
        OutputError: the folder cannot be written.
    """
    from mnist_export.train.tables import models_table

    files = {folder / name: content for name, content in draw_figures(results, dataset).items()}
    table = models_table([trained.card for trained in results])
    files[folder / "models.txt"] = (table + "\n").encode()
    write_atomic(files)
    return list(files)


def report_figures(model: Any, dataset: Dataset) -> dict[str, bytes]:
    """Draw what a report shows of a model and its data, beside its own tables.

    Args:
        model: Keras 3 or tf_keras; of others (a frozen SavedModel) the structure is left out.
        dataset: whose images and classes are shown.

    Returns:
        Title to PNG.
    """
    from mnist_export.train.figures.blocks import structure
    from mnist_export.train.figures.samples import class_distribution, sample_grid

    figures = {
        "Samples, by class": sample_grid(dataset.test, dataset.class_names),
        "Images of each class": class_distribution(dataset),
    }
    if hasattr(model, "layers"):
        figures["Layers of the model"] = structure(model)
    return figures
