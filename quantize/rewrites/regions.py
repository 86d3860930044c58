"""Where a rewrite changed a graph: the changed operators alone, on the values that reach them.

A network of hundreds of layers may raise the rounding of a first layer a thousandfold, so that its last
outputs tell little of a rewrite there. The operators that are not the same before and after it can be run
by themselves: what is the same needs no proof.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.tflite_writer import write_tflite

Values = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Region:
    """Operators of two graphs that stand for each other.

    Attributes:
        before: some operators of the first graph, as a graph.
        after: those of the second.
        entries: names of what they read, in both graphs.
        results: names of what others read of theirs, in both graphs.
    """

    before: Graph
    after: Graph
    entries: tuple[str, ...]
    results: tuple[str, ...]


def largest_error(before: Graph, after: Graph, inputs: npt.NDArray[Any], tolerance: float) -> float:
    """How far changed operators are from those before, on the same values: the largest of all their results.

    A tensor may mean something else afterwards (a shift that moved behind a pool): what reads it then counts
    as changed as well, to where values agree again.

    Args:
        before: the form that is known to be right, of float32.
        after: the rewritten form.
        inputs: shape (n, ...), as the graphs take them.
        tolerance: what agrees, a fraction of a tensor's largest value.

    Returns:
        The error over the largest value of its tensor; infinite where the graph's own outputs do not agree.
    """
    changed = _changed(before, after)
    for _ in range(len(before.ops) + 1):
        region = _region(before, after, changed)
        if region is None:
            return float("inf")
        errors = _errors(before, region, inputs)
        parted = {name for name, error in errors.items() if not error <= tolerance}
        if not parted:
            return max(errors.values(), default=0.0)
        final = {before.tensors[i].name for i in before.outputs}
        grown = changed | {
            graph.tensors[op.outputs[0]].name
            for graph in (before, after)
            for op in graph.ops
            if any(i >= 0 and graph.tensors[i].name in parted for i in op.inputs)
        }
        if parted & final or grown == changed:
            return float("inf")
        changed = grown
    return float("inf")


def _key(graph: Graph, op: Op) -> tuple[object, ...]:
    inputs = tuple(
        None
        if i < 0
        else (id(graph.tensors[i].data) if graph.tensors[i].is_constant else graph.tensors[i].name)
        for i in op.inputs
    )
    options = tuple(sorted((name, str(value)) for name, value in op.options.items()))
    return op.kind, inputs, tuple(graph.tensors[i].name for i in op.outputs), options


def _changed(before: Graph, after: Graph) -> set[str]:
    """Names of the results of operators that only one of the graphs has."""
    keys = [
        {_key(graph, op): graph.tensors[op.outputs[0]].name for op in graph.ops} for graph in (before, after)
    ]
    return {name for key, name in (keys[0] | keys[1]).items() if key not in keys[0] or key not in keys[1]}


def _region(before: Graph, after: Graph, changed: set[str]) -> Region | None:
    """The changed operators with what goes in and comes out; None where the graphs do not agree on that."""
    entries: dict[str, None] = {}
    results: dict[str, None] = {}
    parts = []
    for graph in (before, after):
        inside = [op for op in graph.ops if graph.tensors[op.outputs[0]].name in changed]
        made = {i for op in inside for i in op.outputs}
        parts.append((graph, inside))
        for op in inside:
            entries |= {
                graph.tensors[i].name: None
                for i in op.inputs
                if i >= 0 and i not in made and not graph.tensors[i].is_constant
            }
        read = set(graph.outputs).union(*(op.inputs for op in graph.ops if op not in set(inside)))
        results |= {graph.tensors[i].name: None for i in made & read}
    names = [{t.name: i for i, t in enumerate(graph.tensors)} for graph, _ in parts]
    wanted = (*entries, *results)
    if any(name not in known for known in names for name in wanted):
        return None
    if any(
        set(entries) & {graph.tensors[i].name for op in inside for i in op.outputs} for graph, inside in parts
    ):
        return None
    graphs = [
        replace(
            graph,
            ops=tuple(inside),
            inputs=tuple(known[name] for name in entries),
            outputs=tuple(known[name] for name in results),
        )
        for (graph, inside), known in zip(parts, names, strict=True)
    ]
    return Region(before=graphs[0], after=graphs[1], entries=tuple(entries), results=tuple(results))


def _errors(before: Graph, region: Region, inputs: npt.NDArray[Any]) -> dict[str, float]:
    """Each result's largest error over all images, over its largest value."""
    names = {t.name: i for i, t in enumerate(before.tensors)}
    entry = before.tensors[before.inputs[0]].name
    reached = replace(before, outputs=tuple(names[n] for n in region.entries if n != entry)).pruned()
    largest: dict[str, float] = dict.fromkeys(region.results, 0.0)
    apart: dict[str, float] = dict.fromkeys(region.results, 0.0)
    for image in inputs:
        fed: Values = {entry: image[None]}
        if reached.outputs:
            fed |= _run(reached, fed)
        given = {name: fed[name] for name in region.entries}
        one, two = _run(region.before.pruned(), given), _run(region.after.pruned(), given)
        for name in region.results:
            largest[name] = max(largest[name], float(np.abs(one[name]).max(initial=0.0)))
            difference = float(np.abs(one[name] - two[name]).max(initial=0.0))
            apart[name] = max(apart[name], difference if np.isfinite(difference) else float("inf"))
    return {name: apart[name] / max(largest[name], 1e-6) for name in region.results}


def _run(graph: Graph, values: Values) -> Values:
    """A graph's outputs by name, from LiteRT's built-in kernels, for one image."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=write_tflite(graph),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=1,
    )
    interpreter.allocate_tensors()
    for place, index in zip(interpreter.get_input_details(), graph.inputs, strict=True):
        interpreter.set_tensor(place["index"], values[graph.tensors[index].name])
    interpreter.invoke()
    return {
        graph.tensors[index].name: interpreter.get_tensor(place["index"])
        for place, index in zip(interpreter.get_output_details(), graph.outputs, strict=True)
    }
