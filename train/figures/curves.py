"""Loss and accuracy over the epochs."""

from __future__ import annotations

from collections.abc import Mapping

from mnist_export.models.history import History
from mnist_export.train.figures.canvas import COLORS, new_figure, plain_text, to_png


def history_curves(histories: Mapping[str, History]) -> bytes:
    """Draw accuracy and loss of one or several trainings side by side.

    Training figures are dashed, validation figures solid; a dot marks the epoch whose weights were kept.

    Args:
        histories: model's name to its history; each of at least one epoch.

    Returns:
        A PNG.
    """
    figure = new_figure(11, 4)
    left, right = figure.subplots(1, 2)
    for (name, history), color in zip(histories.items(), COLORS * 4, strict=False):
        epochs = range(1, history.epochs + 1)
        best = history.best_epoch
        marker = "." if history.epochs == 1 else None
        label = plain_text(name)
        for axes, training, validation in (
            (left, history.accuracy, history.val_accuracy),
            (right, history.loss, history.val_loss),
        ):
            axes.plot(epochs, training, "--", color=color, alpha=0.6, lw=1.2, marker=marker)
            axes.plot(epochs, validation, "-", color=color, lw=1.6, label=label, marker=marker)
            axes.plot([best + 1], [validation[best]], "o", color=color, ms=6)
    for axes, title in ((left, "accuracy"), (right, "loss (nats)")):
        axes.set_xlabel("epoch")
        axes.set_ylabel(title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    lowest = min(min(history.val_accuracy) for history in histories.values())
    if lowest > 0.9:
        left.set_ylim(0.9, 1.002)
    left.plot([], [], "--", color="grey", label="training")
    left.plot([], [], "-", color="grey", label="validation")
    left.legend(fontsize=8, loc="lower right")
    return to_png(figure)
