"""Carries the names of Keras layers through TensorFlow's converter into a graph.

While a model is converted, its layers have names that survive TensorFlow's renaming of scopes.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.models.structure.scopes import renamed_layers, scoped_operations
from mnist_export.quantize.network.operators import WEIGHTED

_BESIDES = {Family.BOUNDARY, Family.VIEW}
_MARK = re.compile(r"mxlayer(\d{5})")
INPUT_NAME = "image"
OUTPUT_NAME = "logits"


@contextlib.contextmanager
def marked_layers(model: Any) -> Iterator[dict[int, str]]:
    """Give each layer a name that survives TensorFlow's scope renaming, and take it back.

    TensorFlow makes scopes unique by appending numbers, so that ``conv2d_1`` may stand for the layer
    ``conv2d`` or for the layer ``conv2d_1``.
    """
    with scoped_operations(model) as operations:
        flatten = getattr(model, "_flatten_layers", None)
        layers = [*flatten(include_self=False, recursive=True), *operations] if flatten is not None else []
        names = {number: layer.name for number, layer in enumerate(layers)}
        with renamed_layers(layers, [f"mxlayer{number:05d}" for number in names]):
            yield names


def _layer_of(tensor_name: str, names: dict[int, str]) -> str | None:
    found = _MARK.findall(tensor_name)
    return names.get(int(found[-1])) if found else None


def renamed(graph: Graph, names: dict[int, str], outputs: Sequence[str] = ()) -> Graph:
    """Give tensors the names of their layers, unique within the graph; see `lowering.lower`.

    Args:
        graph: what the converter made while `marked_layers` held.
        names: each mark's number to the layer's own name.
        outputs: names of several outputs, in the graph's order; empty for one.
    """
    ends = dict(zip(graph.outputs, outputs or [OUTPUT_NAME], strict=True))
    taken: set[str] = set()
    result = dict(enumerate(graph.tensors))

    def assign(index: int, wanted: str) -> None:
        name, count = wanted, 1
        while name in taken:
            count += 1
            name = f"{wanted}_{count}"
        taken.add(name)
        result[index] = replace(result[index], name=name)

    for index in graph.inputs:
        assign(index, INPUT_NAME)
    taken.update(ends.values())
    roles = {1: "kernel", 2: "bias"}
    done = set(graph.inputs)
    layers = {op: _layer_of_op(graph, op, names) for op in graph.ops}
    main_kind = _main_kinds(layers)
    last = {(layer, op.kind): op for op, layer in layers.items()}
    for op, layer in layers.items():
        weighted = op.kind in WEIGHTED
        for position, index in enumerate(op.inputs):
            if index >= 0 and index not in done and graph.tensors[index].is_constant:
                done.add(index)
                role = roles.get(position, "constant") if weighted else "constant"
                assign(index, f"{layer}/{role}")
        for index in op.outputs:
            if index not in done:
                done.add(index)
                if index in graph.outputs:
                    result[index] = replace(result[index], name=ends[index])
                elif op.kind == main_kind.get(layer, op.kind) and (weighted or op is last[layer, op.kind]):
                    assign(index, layer)
                else:
                    assign(index, f"{layer}/{op.kind.lower()}")
    return replace(graph, tensors=tuple(result[i] for i in range(len(graph.tensors)))).pruned()


def _main_kinds(layers: dict[Op, str]) -> dict[str, str]:
    """Each layer's kind of operator that has its name: with weights, or else of the last that computes."""
    found: dict[str, str] = {}
    for op, layer in layers.items():
        if found.get(layer) not in WEIGHTED and family(op.kind) not in _BESIDES:
            found[layer] = op.kind
    return found


def _layer_of_op(graph: Graph, op: Op, names: dict[int, str]) -> str:
    """The layer that an operator belongs to, by its result's name or else its constants'."""
    for index in (*op.outputs, *op.inputs):
        if index in op.outputs or (index >= 0 and graph.tensors[index].is_constant):
            found = _layer_of(graph.tensors[index].name, names)
            if found:
                return found
    return op.kind.lower()
