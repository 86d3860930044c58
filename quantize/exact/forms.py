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
APART: Final = "apart"
"""Option of a sum, written to no file: its operands keep scales of their own (`scales.set_apart`)."""
FUSING: Final = WEIGHTED | {"ADD", "SUB", "MUL"}
"""Operators that can end in a RELU or RELU6 of their own."""


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
    if op.kind == "AVERAGE_POOL_2D":
        return Form.REAL
    operands = [graph.tensors[i] for i in op.inputs if i >= 0]
    has_constant = any(t.is_constant and t.dtype == np.float32 for t in operands)
    if family(op.kind) in {Family.SUM, Family.PRODUCT}:
        shapes = {t.shape for t in (*operands, graph.tensors[op.outputs[0]])}
        added = family(op.kind) == Family.SUM and not has_constant and len(shapes) == 1
        added = added and not op.options.get(APART)
        return Form.SUM if added else Form.REAL
    moved = op.kind in MOVES and len(op.outputs) == 1 and not has_constant
    return Form.MOVE if moved else Form.NONE


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
