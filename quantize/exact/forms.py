"""Which of the exact scheme's forms an operator takes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.quantize.exact.folding import EXACT_ACTIVATIONS, activation_of
from mnist_export.quantize.exact.moves import MOVES
from mnist_export.quantize.network.operators import WEIGHTED

LOOKUP: Final = "LOOKUP"
"""A function of single values, an operator of this package's own that no file ever holds."""
FUSING: Final = WEIGHTED | {"ADD", "SUB", "MUL"}
"""Operators that can end in a RELU or RELU6 of their own."""
_MEANS: Final = {"AVERAGE_POOL_2D", "MEAN"}


class Form(StrEnum):
    """How an operator computes in exact integers."""

    WEIGHTED = "weights on the grid, a shift"
    SUM = "codes of one scale are added"
    MOVE = "codes are moved"
    LOOKUP = "a table of 256 codes"
    REAL = "float32 between codes, without ties"
    NONE = "none"


def form_of(graph: Graph, op: Op) -> Form:
    """The form of one operator of a prepared float graph."""
    if op.kind == LOOKUP:
        return Form.LOOKUP
    if op.kind in WEIGHTED:
        return Form.WEIGHTED
    carried = [i for i in op.inputs if i >= 0 and not graph.tensors[i].is_constant]
    floats = [graph.tensors[i] for i in op.inputs if i >= 0 and graph.tensors[i].dtype == np.float32]
    has_constant = any(t.is_constant for t in floats)
    if family(op.kind) == Family.SUM and not has_constant:
        shapes = {graph.tensors[i].shape for i in (*carried, *op.outputs)}
        return Form.SUM if len(shapes) == 1 else Form.REAL
    if family(op.kind) in {Family.SUM, Family.PRODUCT} or op.kind in _MEANS:
        return Form.REAL
    if has_constant:
        return Form.NONE
    if op.kind in MOVES and len(op.outputs) == 1:
        return Form.MOVE
    return Form.NONE


def obstacle(graph: Graph, op: Op) -> str:
    """What of an operator has no exact form; empty where all of it has one."""
    form, activation = form_of(graph, op), activation_of(op)
    if form == Form.NONE:
        return f"the operator {op.kind}"
    if activation not in {Activation.NONE, *EXACT_ACTIVATIONS}:
        return f"{op.kind} with the activation {activation.name}"
    source = graph.tensors[op.inputs[0]]
    if form == Form.WEIGHTED:
        weights = graph.tensors[op.inputs[1]]
        if not weights.is_constant:
            return "a layer that computes its weights at run time"
        if op.kind == "FULLY_CONNECTED" and len(source.shape) != 2:
            return f"dense over an input of rank {len(source.shape)}; put a Flatten before"
    elif activation and form not in {Form.SUM, Form.REAL}:
        return f"{op.kind} with a fused activation"
    return ""
