"""Pictures of the data: a grid of samples, and how many images each class has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mnist_export.train.figures.canvas import COLORS, new_figure, plain_text, show_image, to_png

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset, Split


def sample_grid(split: Split, class_names: tuple[str, ...], *, columns: int = 10, each: int = 4) -> bytes:
    """Draw the first images of each class, one class a column.

    Args:
        split: where from.
        class_names: one name a class; at most ``columns`` classes are drawn.
        columns: how many classes at most.
        each: images a class.

    Returns:
        A PNG.
    """
    shown_classes = min(columns, len(class_names))
    figure = new_figure(1.05 * shown_classes + 0.2, 1.1 * each + 0.4)
    grid = figure.subplots(each, shown_classes, squeeze=False)
    for column in range(shown_classes):
        positions = np.flatnonzero(split.labels == column)[:each]
        for row in range(each):
            axes = grid[row][column]
            if row < len(positions):
                show_image(axes, split.images[positions[row]])
            else:
                axes.axis("off")
            if row == 0:
                axes.set_title(plain_text(class_names[column])[:14], fontsize=9)
    return to_png(figure)


def class_distribution(dataset: Dataset) -> bytes:
    """Draw how many images of each class the three parts hold, with their share in per cent.

    Returns:
        A PNG.
    """
    parts = {name: split for name, split in dataset.parts().items() if len(split)}
    figure = new_figure(4.4 * len(parts), 3.4)
    rows = figure.subplots(1, len(parts), squeeze=False)[0]
    classes = np.arange(dataset.num_classes)
    for axes, (name, split), color in zip(rows, parts.items(), COLORS, strict=False):
        counts = np.bincount(split.labels, minlength=dataset.num_classes)
        bars = axes.bar(classes, counts, color=color, width=0.75)
        if dataset.num_classes <= 12:
            shares = [f"{count / len(split):.1%}" for count in counts]
            axes.bar_label(bars, shares, fontsize=7, padding=2)
        axes.set_title(f"{name}: {len(split):,} images", fontsize=10)
        axes.set_ylim(0, counts.max() * 1.15)
        if dataset.num_classes <= 30:
            names = [plain_text(text)[:12] for text in dataset.class_names]
            long = max(len(text) for text in names) > 2
            axes.set_xticks(classes, names, rotation=60 if long else 0, ha="right" if long else "center")
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    rows[0].set_ylabel("images")
    return to_png(figure)
