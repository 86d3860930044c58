"""Which operators stay in float: those that ``--keep-float`` names, and what lies between two of them."""

from __future__ import annotations

import fnmatch

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.operators import operator
from mnist_export.core.kinds import Precision
from mnist_export.quantize.network.functions import without_integers
from mnist_export.quantize.network.layers import keep_float_of, layer_of
from mnist_export.quantize.network.scheme import SchemeConfig


def layers_without_integers(graph: Graph, precision: Precision = Precision.INT8) -> tuple[str, ...]:
    """Names of the layers that hold an operator without an integer form, in the graph's order."""
    return tuple(
        dict.fromkeys(
            layer_of(graph.tensors[op.outputs[0]].name) for op in without_integers(graph, precision)
        )
    )


def refuse_unknown(graph: Graph, is_float: set[Op], precision: Precision) -> None:
    """Refuse a graph with operators that have no integer form and are not to stay in float.

    Raises:
        UnsupportedError: there are some; the message names their layers.
    """
    found = [op for op in without_integers(graph, precision) if op not in is_float]
    if not found:
        return
    first = graph.tensors[found[0].outputs[0]].name
    floats = {layer_of(graph.tensors[op.outputs[0]].name) for op in found}
    layers = [name for name in layers_without_integers(graph, precision) if name in floats]
    raise UnsupportedError(
        f"int8: layer '{layer_of(first)}' uses the operator {found[0].kind}, which has no integer form here. "
        f"Leave such layers in float with {keep_float_of(*layers)}."
    )


def operators_in_float(graph: Graph, config: SchemeConfig) -> set[Op]:
    """The operators that stay in float.

    Args:
        graph: a float graph.
        config: its ``keep_float`` holds names or globs of layers.

    Raises:
        InputError: no layer has such a name; the message lists the layers.
    """
    kept: set[Op] = set()
    for pattern in config.keep_float:
        found = {
            op
            for op in graph.ops
            for i in op.outputs
            if fnmatch.fnmatchcase(graph.tensors[i].name, pattern)
            or fnmatch.fnmatchcase(layer_of(graph.tensors[i].name), pattern)
            or any(
                j >= 0
                and graph.tensors[j].is_constant
                and fnmatch.fnmatchcase(layer_of(graph.tensors[j].name), pattern)
                for j in op.inputs
            )
        }
        if not found:
            names = ", ".join(dict.fromkeys(layer_of(graph.tensors[op.outputs[0]].name) for op in graph.ops))
            raise InputError(f"`keep_float`: no layer matches '{pattern}'. The layers are: {names}.")
        kept |= found
    return kept | _between_floats(graph, kept)


def _between_floats(graph: Graph, kept: set[Op]) -> set[Op]:
    """What has no weights between two float layers: codes there would only round what stays in float."""
    between: set[Op] = set()
    for op in graph.ops:
        before = [graph.producer(i) for i in op.inputs if i >= 0 and not graph.tensors[i].is_constant]
        passes_on = operator(op.kind).integers and not operator(op.kind).has_weights and bool(before)
        if passes_on and all(p is not None and (p in kept or p in between) for p in before):
            between.add(op)
    # Only those from which every way leads into a float layer: the others' codes are needed anyway.
    for op in reversed(graph.ops):
        if op in between:
            readers = [reader for i in op.outputs for reader in graph.consumers(i)]
            if not readers or not all(reader in kept or reader in between for reader in readers):
                between.discard(op)
    return between
