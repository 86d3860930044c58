"""Images that the first model gets wrong, with every model's probabilities beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.images import Images
from mnist_export.train.figures.canvas import (
    BLUE,
    GREEN,
    RED,
    new_figure,
    plain_text,
    show_image,
    to_png,
)


def misclassified(
    images: Images,
    labels: npt.NDArray[np.int64],
    probabilities: Mapping[str, npt.NDArray[np.float64]],
    class_names: tuple[str, ...],
    *,
    count: int = 6,
) -> bytes | None:
    """Draw the mistakes that the first model is surest of.

    In each row: the image with its true class, then for each model its probabilities; the true class is
    green, a wrong answer red.

    Args:
        images: uint8 (n, height, width, channels).
        labels: int64 (n,).
        probabilities: model's name to float (n, classes), rows that sum to 1.
        class_names: one name a class.
        count: rows at most.

    Returns:
        A PNG, or None where the first model makes no mistake.
    """
    first = next(iter(probabilities.values()))
    answers = first.argmax(axis=1)
    wrong = np.flatnonzero(answers != labels)
    if not len(wrong):
        return None
    surest = wrong[np.argsort(-first[wrong, answers[wrong]], kind="stable")][:count]
    columns = len(probabilities) + 1
    figure = new_figure(1.6 + 2.6 * len(probabilities), 1.5 * len(surest) + 0.3)
    grid = figure.subplots(
        len(surest), columns, squeeze=False, width_ratios=[1.2, *[2.4] * len(probabilities)]
    )
    for row, position in zip(grid, surest, strict=True):
        label = int(labels[position])
        show_image(row[0], images[position])
        row[0].set_title(f"is {plain_text(class_names[label])[:12]}", fontsize=9)
        for axes, (model, values) in zip(row[1:], probabilities.items(), strict=True):
            _bars(axes, values[position], label, plain_text(model), class_names)
    return to_png(figure)


def _bars(
    axes: Any, values: npt.NDArray[np.float64], label: int, model: str, class_names: tuple[str, ...]
) -> None:
    answer = int(values.argmax())
    colors = [BLUE] * len(values)
    colors[answer] = RED
    colors[label] = GREEN
    axes.bar(range(len(values)), values, color=colors, width=0.85)
    axes.set_ylim(0, 1.02)
    name = plain_text(class_names[answer])[:12]
    axes.set_title(f"{model}: {name} ({values[answer]:.0%})", fontsize=8)
    if len(values) <= 12:
        axes.set_xticks(range(len(values)))
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
