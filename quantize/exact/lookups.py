"""Functions of single values as tables of 256 codes.

A table's place is found by integer arithmetic and its entry is moved, so nothing is rounded at run time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operators import operator
from mnist_export.quantize.exact.folding import EXACT_ACTIVATIONS
from mnist_export.quantize.exact.forms import LOOKUP
from mnist_export.quantize.exact.tables import with_check
from mnist_export.quantize.network.functions import Function, all_functions
from mnist_export.quantize.post_training.lookup import OFFSET, lookup_ops, table_of

_LINEAR: Final = {"ADD", "SUB", "MUL", "DIV"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """A function and the graph that its tensors are numbered in."""

    graph: Graph
    function: Function


def find_lookups(graph: Graph) -> Graph:
    """Put a LOOKUP in the place of each function that is more than a gain, a shift and a clip."""
    found = [made for made in all_functions(graph) if any(_is_curved(graph, op) for op in made.ops)]
    if not found:
        return graph
    editor = GraphEditor.in_place(graph)
    for made in found:
        curve = Curve(graph=graph, function=made)
        editor.exchange(
            made.ops[-1],
            Op(kind=LOOKUP, inputs=(made.source,), outputs=(made.target,), options={"curve": curve}),
        )
    return editor.finish()


def _is_curved(graph: Graph, op: Op) -> bool:
    if op.kind in _LINEAR:
        constants = [graph.tensors[i].is_constant for i in op.inputs]
        return not any(constants) or (op.kind == "DIV" and constants[0])
    return operator(op.kind).activation not in EXACT_ACTIVATIONS


def expanded(graph: Graph) -> Graph:
    """The graph with its functions' own operators in the place of LOOKUPs; tensors keep their indices."""
    editor = GraphEditor(graph)
    for op in graph.ops:
        if op.kind == LOOKUP:
            _expand(editor, op)
        else:
            editor.keep(op)
    return editor.snapshot()


def _expand(editor: GraphEditor, op: Op) -> None:
    curve: Curve = op.options["curve"]
    own = {curve.function.source: op.inputs[0], curve.function.target: op.outputs[0]}
    name = editor.tensor(op.outputs[0]).name
    for step in curve.function.ops:
        for index in (*step.inputs, *step.outputs):
            if index >= 0 and index not in own:
                tensor = curve.graph.tensors[index]
                own[index] = editor.add_tensor(replace(tensor, name=f"{name}/{tensor.name}"))
        editor.keep(
            replace(
                step,
                inputs=tuple(own.get(i, i) for i in step.inputs),
                outputs=tuple(own[i] for i in step.outputs),
            )
        )


def add_lookup(editor: GraphEditor, op: Op, before: QuantParams, after: QuantParams) -> tuple[Op, ...]:
    """Append the operators of one look-up, the result's tensor being int8 already.

    Args:
        editor: of the integer graph.
        op: a LOOKUP of the prepared float graph.
        before: of its source's codes.
        after: of its result's.

    Returns:
        The operators.
    """
    curve: Curve = op.options["curve"]
    target = editor.tensor(op.outputs[0])
    table = with_check(table_of(curve.graph, curve.function, before, after))
    places = np.dtype(np.int32)
    signed, place = (
        editor.add_tensor(Tensor(name=f"{target.name}/{role}", shape=target.shape, dtype=places))
        for role in ("signed", "place")
    )
    offset = editor.constant(f"{target.name}/offset", np.array(OFFSET, np.int32))
    data = editor.constant(f"{target.name}/table", table, after)
    made = lookup_ops(op.inputs[0], (signed, place), offset, data, op.outputs[0])
    for each in made:
        editor.keep(each)
    return made
