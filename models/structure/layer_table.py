"""A model's layers as a table: names to use with ``--until``, shapes, parameters, operations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mnist_export.core.tables import align
from mnist_export.data.limits import shown
from mnist_export.models.structure.macs import layer_macs, output_shape
from mnist_export.models.structure.nodes import leaves


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One layer.

    Attributes:
        name: as ``--until`` takes it.
        kind: its class, and its activation where it has one.
        shape: of its output, without the batch.
        parameters: count.
        macs: multiply-accumulates of one image.
    """

    name: str
    kind: str
    shape: tuple[int | None, ...]
    parameters: int
    macs: int


def layer_rows(model: Any) -> list[LayerRow]:
    """Describe a built model's layers and operations, in order, those of nested models in their place."""
    rows = []
    for layer in leaves(model):
        kind = type(layer).__name__
        activation = getattr(layer, "activation", None)
        name = getattr(activation, "__name__", "")
        if name and name != "linear":
            kind += f" ({name})" if kind != "Activation" else f" {name}"
        rows.append(
            LayerRow(
                name=shown(layer.name),
                kind=kind,
                shape=output_shape(layer)[1:],
                parameters=sum(math.prod(weight.shape) for weight in getattr(layer, "weights", ())),
                macs=layer_macs(layer),
            )
        )
    return rows


def shape_text(shape: tuple[int | None, ...]) -> str:
    """Write a shape as ``28 x 28 x 6``."""
    return " x ".join("?" if size is None else str(size) for size in shape)


def summary(model: Any) -> str:
    """Lay the layers out as text, with the sums in the last line."""
    rows = layer_rows(model)
    body = [
        (row.name, row.kind, shape_text(row.shape), f"{row.parameters:,}", f"{row.macs:,}") for row in rows
    ]
    total = (
        shown(model.name),
        "in all",
        "",
        f"{sum(row.parameters for row in rows):,}",
        f"{sum(row.macs for row in rows):,}",
    )
    return align(("layer", "kind", "output", "parameters", "MACs"), [*body, total])
