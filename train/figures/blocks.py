"""A model's structure and a table of models, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mnist_export.models.card import ModelCard
from mnist_export.models.structure.layer_table import LayerRow, layer_rows, shape_text
from mnist_export.train.figures.canvas import BLUE, COLORS, GREY, new_figure, plain_text, to_png
from mnist_export.train.tables import HEADER, rows

_FAMILIES = {
    "Conv": COLORS[0],
    "Depthwise": COLORS[0],
    "Separable": COLORS[0],
    "Dense": COLORS[2],
    "Max": COLORS[1],
    "Average": COLORS[1],
    "Global": COLORS[1],
    "Batch": COLORS[3],
    "Dropout": COLORS[4],
}


LAYERS_DRAWN: Final = 80
"""More would be a picture of 30,000 pixels, which takes longer than the network's quantization."""


def structure(model: Any) -> bytes:
    """Draw the layers from top to bottom with their output shapes, parameters and operations.

    Of more than `LAYERS_DRAWN` layers those with the most operations are drawn, in their order.

    Returns:
        A PNG.
    """
    every = layer_rows(model)
    macs = max(1, sum(row.macs for row in every))
    layers = _largest(every)
    some = f"; {len(layers)} of {len(every)} layers" if len(layers) < len(every) else ""
    figure = new_figure(8.2, 0.36 * len(layers) + 0.9)
    axes = figure.subplots()
    axes.set_xlim(0, 100)
    axes.set_ylim(len(layers) + 0.2, -1.2)
    axes.axis("off")
    heads = ((1, "layer", "left"), (24, "kind", "left"), (64, "output", "center"))
    for x, text, side in (*heads, (84, "parameters", "right"), (99, "MACs", "right")):
        axes.text(x, -0.6, text, ha=side, va="center", fontsize=9, color=GREY)
    for number, row in enumerate(layers):
        color = next((value for key, value in _FAMILIES.items() if row.kind.startswith(key)), GREY)
        axes.barh(number, 98, left=1, height=0.78, color=color, alpha=0.16)
        axes.barh(number, 98 * row.macs / macs, left=1, height=0.78, color=color, alpha=0.30)
        texts = (
            (2, plain_text(row.name)[:24], "left"),
            (24, plain_text(row.kind)[:32], "left"),
            (64, shape_text(row.shape), "center"),
            (84, f"{row.parameters:,}" if row.parameters else "", "right"),
            (98, f"{row.macs:,}" if row.macs else "", "right"),
        )
        for x, text, side in texts:
            axes.text(x, number, text, ha=side, va="center", fontsize=8.5)
    parameters = sum(row.parameters for row in every)
    axes.set_title(
        f"{plain_text(model.name)}: {parameters:,} parameters, {macs:,} MACs (dark: share of them{some})",
        fontsize=10,
        loc="left",
    )
    return to_png(figure)


def _largest(rows: list[LayerRow]) -> list[LayerRow]:
    """The rows with the most multiply-adds and parameters, in the order in which they stand."""
    by_size = sorted(range(len(rows)), key=lambda i: (-rows[i].macs, -rows[i].parameters, i))
    return [rows[i] for i in sorted(by_size[:LAYERS_DRAWN])]


def models_table(cards: Sequence[ModelCard]) -> bytes:
    """Draw the table of all models, best test accuracy first.

    Returns:
        A PNG.
    """
    body = rows(cards)
    figure = new_figure(9.6, 0.36 * len(body) + 0.7)
    axes = figure.subplots()
    axes.axis("off")
    table = axes.table(
        cellText=[[plain_text(cell) for cell in row] for row in body],
        colLabels=list(HEADER),
        loc="center",
        cellLoc="right",
        edges="horizontal",
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.35)
    table.auto_set_column_width(list(range(len(HEADER))))
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor("#cccccc")
        if row == 0:
            cell.set_text_props(color=BLUE, fontweight="bold")
        if column == 0:
            cell.set_text_props(ha="left")
    return to_png(figure)
