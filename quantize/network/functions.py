"""Functions of one value in a float graph, and what of a graph has no integer form.

GELU, mish, softplus or SELU are one operator or a few: operators element by element, of one tensor and of
constants that are single numbers. Of 256 codes such a function has 256 results: a table holds it exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.operators import operator
from mnist_export.core.kinds import Precision
from mnist_export.quantize.network.layers import layer_of

_SUMS = {"MEAN", "SUM"}
_ROOTS = {"SQUARE", "SQUARED_DIFFERENCE", "EXP", "ABS", "MUL"}
_REWRITTEN = {
    "PRELU",
    "HARD_SWISH",
    "LEAKY_RELU",
    "NEG",
}  # rewrites turn these into operators that have one
_SCALED = {"MUL", "DIV"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Function:
    """One function of single values.

    Attributes:
        source: index of the tensor that it is a function of.
        target: index of its result.
        ops: the operators that compute it, in order.
    """

    source: int
    target: int
    ops: tuple[Op, ...]


def functions(graph: Graph) -> tuple[Function, ...]:
    """The functions of a graph that hold an operator without an integer form, each as far back as it goes.

    Args:
        graph: a float graph.
    """
    found = [made for made in all_functions(graph) if any(not operator(op.kind).integers for op in made.ops)]
    sums = statistics(graph)
    left = _layers_of(graph, _bare(graph, found)) | _layers_of(graph, sums)
    return tuple(
        made
        for made in found
        if not any(op in sums or layer_of(graph.tensors[op.outputs[0]].name) in left for op in made.ops)
    )


def without_integers(graph: Graph, precision: Precision = Precision.INT8) -> tuple[Op, ...]:
    """Operators that have no integer form and are in no function, in the graph's order.

    Tables of codes and moves of values are int8's alone: 16 bits have 65,536 codes, and fewer kernels.

    The sums of squares of a normalization are among them, although their operators have such forms: what
    they add up spans more than 8 bits tell apart.
    """
    sums = statistics(graph)
    if precision != Precision.INT8:
        return tuple(op for op in graph.ops if op in sums or not _has_wide_integers(op))
    covered = {op for made in functions(graph) for op in made.ops}
    return tuple(
        op for op in graph.ops if op in sums or (not operator(op.kind).integers and op not in covered)
    )


def _has_wide_integers(op: Op) -> bool:
    return operator(op.kind).integers and not operator(op.kind).int8_only


def left_alone(graph: Graph) -> set[Op]:
    """What rewrites before quantization leave: functions of several operators, and layers that stay in float.

    Args:
        graph: a float graph.
    """
    bare = set(without_integers(graph))
    layers = _layers_of(graph, {op for op in bare if op.kind not in _REWRITTEN})
    found = {op for op in graph.ops if layer_of(graph.tensors[op.outputs[0]].name) in layers}
    return found.union(*(made.ops for made in functions(graph) if len(made.ops) > 1))


def _layers_of(graph: Graph, ops: set[Op]) -> set[str]:
    return {layer_of(graph.tensors[op.outputs[0]].name) for op in ops}


def _bare(graph: Graph, found: list[Function]) -> set[Op]:
    covered = {op for made in found for op in made.ops}
    return {op for op in graph.ops if not operator(op.kind).integers and op not in covered}


def all_functions(graph: Graph) -> list[Function]:
    """Functions that somebody reads who is not part of them, each as far back as it goes."""
    roots: dict[int, int] = {}
    producers = {index: op for op in graph.ops for index in op.outputs}
    for op in graph.ops:
        root = _root(graph, op, roots)
        for index in op.outputs:
            roots[index] = index if root is None else root
    read: dict[int, list[Op]] = {}
    for op in graph.ops:
        for index in op.inputs:
            read.setdefault(index, []).append(op)
    made = []
    for op in graph.ops:
        target = op.outputs[0]
        root = roots[target]
        if root == target or graph.tensors[target].dtype != np.float32:
            continue
        inside = [reader for reader in read.get(target, ()) if roots[reader.outputs[0]] == root]
        if target in graph.outputs or len(inside) < len(read.get(target, ())):
            made.append(Function(source=root, target=target, ops=_between(producers, root, target)))
    return made


def _root(graph: Graph, op: Op, roots: dict[int, int]) -> int | None:
    """The one tensor that an operator is a function of; None where there is none such."""
    if not operator(op.kind).elementwise:
        return None
    if any(graph.tensors[i].is_constant and graph.tensors[i].data.size != 1 for i in op.inputs):  # type: ignore[union-attr]
        return None
    values = [i for i in op.inputs if not graph.tensors[i].is_constant]
    found = {roots.get(i, i) for i in values}
    if len(found) != 1:
        return None
    (root,) = found
    shape = graph.tensors[root].shape
    alike = all(graph.tensors[i].shape == shape for i in (*values, *op.outputs))
    return root if alike and graph.tensors[root].dtype == np.float32 else None


def _between(producers: dict[int, Op], root: int, target: int) -> tuple[Op, ...]:
    ops: dict[Op, None] = {}

    def visit(index: int) -> None:
        if index == root or index not in producers or producers[index] in ops:
            return
        for source in producers[index].inputs:
            visit(source)
        ops[producers[index]] = None

    visit(target)
    return tuple(ops)


def statistics(graph: Graph) -> set[Op]:
    """Sums of squares (or of powers of e) and what scales by them: a normalization's inner values.

    Args:
        graph: a float graph.
    """
    producers = {index: op for op in graph.ops for index in op.outputs}
    readers: dict[int, list[Op]] = {}
    for op in graph.ops:
        for index in op.inputs:
            readers.setdefault(index, []).append(op)
    found: set[Op] = set()
    for op in graph.ops:
        squares = producers.get(op.inputs[0]) if op.kind in _SUMS else None
        if squares is None or squares.kind not in _ROOTS:
            continue
        if squares.kind == "MUL" and len(set(squares.inputs)) != 1:
            continue
        found |= {squares, op}
        behind = list(readers.get(op.outputs[0], ()))
        while behind:
            reader = behind.pop()
            values = [i for i in reader.inputs if i >= 0 and not graph.tensors[i].is_constant]
            if reader in found or not operator(reader.kind).elementwise:
                continue
            if len(set(values)) == 1:
                found.add(reader)
                behind += readers.get(reader.outputs[0], ())
            elif reader.kind in _SCALED:
                found.add(reader)
    return found
