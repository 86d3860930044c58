"""Tables of trained models, as text."""

from __future__ import annotations

from collections.abc import Sequence

from mnist_export.train.card import ModelCard

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


def align(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Lay out a table in columns: the first to the left, the others to the right."""
    lines = [header, *body]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(header), rule, *(line(cells) for cells in body)])


def models_table(cards: Sequence[ModelCard]) -> str:
    """The table of all models, sorted by test accuracy."""
    return align(HEADER, rows(cards))
