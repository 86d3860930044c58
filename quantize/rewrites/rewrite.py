"""What a rewrite is: a named change of a graph that leaves what the graph computes as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph, Op
from mnist_export.core.kinds import StrEnum
from mnist_export.quantize.rewrites.block import Choose


class Stage(StrEnum):
    """When a rewrite runs, and so what stays the same."""

    FLOAT = "float"
    """Before quantization: the float function, up to float32's rounding."""
    INTEGER = "integer"
    """After it: every integer at the graph's outputs, for every input."""


@dataclass(frozen=True, kw_only=True)
class Rewrite:
    """One entry of the registry.

    Attributes:
        name: its public name.
        stage: when it runs.
        summary: what it does, in a few words.
        apply: takes a graph and how blocks are chosen; returns the very same object where there was
            nothing to do.
        only_int8: whether it is of no use, or a loss, where the network will not compute in int8.
    """

    name: str
    stage: Stage
    summary: str
    apply: Callable[[Graph, Choose], Graph]
    only_int8: bool = False


@dataclass(frozen=True, kw_only=True)
class Applied:
    """A rewrite that changed a graph.

    Attributes:
        name: the rewrite's.
        stage: when it ran.
        layers: names of the operators that are no longer there as they were.
        operators: operators before and after.
        constant_bytes: bytes of constants before and after.
    """

    name: str
    stage: Stage
    layers: tuple[str, ...]
    operators: tuple[int, int]
    constant_bytes: tuple[int, int]

    def sentence(self) -> str:
        """For a report: which rewrite, where, at what price."""
        before, after = self.constant_bytes
        return (
            f"{self.name} at {', '.join(self.layers) or 'the graph'}: {self.operators[0]} operators became "
            f"{self.operators[1]}, {before} bytes of constants {after}"
        )


def run(rewrite: Rewrite, graph: Graph, choose: Choose) -> tuple[Graph, Applied | None]:
    """Run one rewrite between its checks.

    Args:
        rewrite: an entry of the registry.
        graph: a well-formed graph.
        choose: how blocks are chosen.

    Returns:
        The graph and what changed; the graph itself and None where nothing did.

    Raises:
        ConversionError: the result is not well formed, or its inputs or outputs changed.
    """
    made = rewrite.apply(graph, choose)
    if made is graph:
        return graph, None
    check_well_formed(made, rewrite.name)
    for old, new in ((graph.inputs, made.inputs), (graph.outputs, made.outputs)):
        if [_public(graph, i) for i in old] != [_public(made, i) for i in new]:
            raise ConversionError(
                f"rewrite '{rewrite.name}': expected inputs and outputs as they were, found others. "
                "Use `no_rewrites=True`, and report this model."
            )
    return made, Applied(
        name=rewrite.name,
        stage=rewrite.stage,
        layers=_changed(graph, made),
        operators=(len(graph.ops), len(made.ops)),
        constant_bytes=(_constant_bytes(graph), _constant_bytes(made)),
    )


def check_well_formed(graph: Graph, where: str) -> None:
    """Check that every operator reads what is ready, and that names and results are unique.

    Raises:
        ConversionError: it does not hold; the message names ``where`` and the tensor.
    """
    ready = set(graph.inputs) | {i for i, t in enumerate(graph.tensors) if t.is_constant}
    for op in graph.ops:
        missing = [i for i in op.inputs if i >= 0 and i not in ready]
        twice = [i for i in op.outputs if i in ready]
        for index, problem in [(i, "read before it is written") for i in missing] + [
            (i, "written twice") for i in twice
        ]:
            raise ConversionError(
                f"rewrite '{where}': the tensor '{graph.tensors[index].name}' is {problem}. Use "
                "`no_rewrites=True`, and report this model."
            )
        ready.update(op.outputs)
    names = [t.name for t in graph.tensors]
    if len(set(names)) != len(names) or not set(graph.outputs) <= ready:
        raise ConversionError(
            f"rewrite '{where}': expected unique names and outputs that are computed, found others. Use "
            "`no_rewrites=True`, and report this model."
        )


def _public(graph: Graph, index: int) -> tuple[object, ...]:
    tensor = graph.tensors[index]
    quant = tensor.quant
    scale = None if quant is None else (quant.scale.tobytes(), quant.zero_point.tobytes())
    return tensor.name, tensor.shape, tensor.dtype, scale


def _changed(before: Graph, after: Graph) -> tuple[str, ...]:
    kept = {_signature(after, op) for op in after.ops}
    return tuple(
        before.tensors[op.outputs[0]].name for op in before.ops if _signature(before, op) not in kept
    )


def _signature(graph: Graph, op: Op) -> tuple[object, ...]:
    shapes = tuple(graph.tensors[i].shape for i in op.inputs if i >= 0)
    return op.kind, graph.tensors[op.outputs[0]].name, graph.tensors[op.outputs[0]].shape, shapes


def _constant_bytes(graph: Graph) -> int:
    used = {i for op in graph.ops for i in op.inputs if i >= 0}
    return sum(data.nbytes for i in used if (data := graph.tensors[i].data) is not None)
