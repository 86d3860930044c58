"""Tables of trained models, as text."""

from __future__ import annotations

from collections.abc import Sequence

from mnist_export.core.tables import align
from mnist_export.models.card import ModelCard

HEADER = (
    "model",
    "test top-1",
    "95 % interval",
    "test loss",
    "val top-1",
    "parameters",
    "MACs",
    "epochs",
    "seconds",
)


def rows(cards: Sequence[ModelCard]) -> list[tuple[str, ...]]:
    """One row a model, best test accuracy first; the columns are `HEADER`'s."""
    ordered = sorted(cards, key=lambda card: (-card.test.top1, card.name))
    return [
        (
            card.name,
            f"{card.test.top1:.2%}",
            f"{card.test.top1_interval[0]:.2%} to {card.test.top1_interval[1]:.2%}",
            f"{card.test.loss:.4f}",
            f"{card.validation.top1:.2%}",
            f"{card.parameters:,}",
            f"{card.macs:,}",
            f"{card.best_epoch} of {card.epochs_run}",
            f"{card.seconds:.0f}",
        )
        for card in ordered
    ]


def models_table(cards: Sequence[ModelCard]) -> str:
    """The table of all models, sorted by test accuracy."""
    return align(HEADER, rows(cards))
