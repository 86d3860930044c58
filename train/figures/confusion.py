"""Confusion matrices, one or several models side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import MissingExtraError
from mnist_export.train.figures.canvas import new_figure, plain_text, to_png


def confusion_matrix(
    labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], classes: int
) -> npt.NDArray[np.int64]:
    """Count how often each class (row) was taken for each class (column); int64 (classes, classes).

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn import metrics
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "convert", "a confusion matrix") from error
    return np.asarray(metrics.confusion_matrix(labels, predicted, labels=np.arange(classes)), np.int64)


def confusion_matrices(
    labels: npt.NDArray[np.int64],
    predictions: Mapping[str, npt.NDArray[np.int64]],
    class_names: tuple[str, ...],
) -> bytes:
    """Draw a matrix for each model: counts in the cells, colour by the share of the errors in a row.

    Args:
        labels: int64 (n,).
        predictions: model's name to its answers, int64 (n,).
        class_names: one name a class.

    Returns:
        A PNG.
    """
    classes = len(class_names)
    side = max(4.0, min(12.0, 0.47 * classes + 0.6))
    figure = new_figure(side * len(predictions), side + 0.2)
    rows = figure.subplots(1, len(predictions), squeeze=False)[0]
    names = [plain_text(name)[:12] for name in class_names]
    for axes, (model, predicted) in zip(rows, predictions.items(), strict=True):
        matrix = confusion_matrix(labels, predicted, classes)
        errors = matrix - np.diag(np.diag(matrix))
        # Errors are what one looks for: the diagonal is left white, or it would drown them.
        axes.imshow(errors / max(1, errors.max()), cmap="Oranges", vmin=0, vmax=1)
        if classes <= 20:
            for row, column in np.ndindex(matrix.shape):
                count = matrix[row, column]
                if count:
                    strong = row != column and errors[row, column] > 0.6 * errors.max()
                    axes.text(
                        column,
                        row,
                        f"{count:,}",
                        ha="center",
                        va="center",
                        fontsize=7.5,
                        color="white" if strong else "black",
                        fontweight="bold" if row == column else "normal",
                    )
        right = int(np.trace(matrix))
        axes.set_title(
            f"{plain_text(model)}: {right / len(labels):.2%}, {len(labels) - right:,} errors", fontsize=10
        )
        long = max(len(name) for name in names) > 2
        axes.set_xticks(range(classes), names, rotation=60 if long else 0, ha="right" if long else "center")
        axes.set_yticks(range(classes), names)
        axes.tick_params(labelsize=8)
        axes.set_xlabel("answered")
        axes.set_ylabel("is")
    return to_png(figure)
