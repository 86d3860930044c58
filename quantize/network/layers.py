"""A float graph's layers by the names that a user knows."""

from __future__ import annotations

from collections.abc import Iterator

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.operators import operator
from mnist_export.core.parameters import parameter
from mnist_export.quantize.network.operators import WEIGHTED


def layer_of(name: str) -> str:
    """The layer that a constant or an inner operator belongs to: what stands before its name's last slash."""
    return name.rpartition("/")[0] or name


def has_weights(graph: Graph, op: Op) -> bool:
    """Whether an operator multiplies by constants that training chose."""
    return op.kind in WEIGHTED and op.inputs[1] >= 0 and graph.tensors[op.inputs[1]].is_constant


def has_bias(op: Op) -> bool:
    """Whether a weighted operator has a bias."""
    return len(op.inputs) > 2 and op.inputs[2] >= 0


def layer_name(graph: Graph, op: Op) -> str:
    """The Keras layer that an operator belongs to: its weights' owner, else its output's name."""
    own = graph.tensors[op.outputs[0]].name
    if has_weights(graph, op):
        constant = graph.tensors[op.inputs[1]].name
        return layer_of(constant) if "/" in constant else own
    return own


def readers(graph: Graph, op: Op) -> tuple[str, ...]:
    """Layers that compute with an operator's output, behind pools and reshapes that pass it on."""
    found: list[str] = []
    for reader in graph.consumers(op.outputs[0]):
        passes_on = operator(reader.kind).same_scale
        found += readers(graph, reader) if passes_on else [layer_name(graph, reader)]
    return tuple(dict.fromkeys(found))


def weighted_ops(graph: Graph) -> Iterator[Op]:
    """Operators with constant weights, in execution order."""
    return (op for op in graph.ops if has_weights(graph, op))


def exact_pattern(name: str) -> str:
    """A glob that matches this name alone, whatever characters it holds; it does not begin with a dash."""
    return "".join(f"[{c}]" if c in "*?[" or (c == "-" and not i) else c for i, c in enumerate(name))


def literal_names(graph: Graph, patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Patterns in which each that is a layer's whole name stands for that layer, whatever it holds.

    ``conv[0]`` as a glob would match ``conv0`` alone, and not the layer of that very name.

    Args:
        graph: whose layers they choose from.
        patterns: names or globs.
    """
    names = {layer_of(tensor.name) if tensor.is_constant else tensor.name for tensor in graph.tensors}
    return tuple(exact_pattern(pattern) if pattern in names else pattern for pattern in patterns)


def keep_float_of(*names: str) -> str:
    """``keep_float`` with layers' names, as messages name a parameter."""
    return parameter("keep_float", [exact_pattern(name) if name.startswith("-") else name for name in names])


def by_name(graph: Graph) -> dict[str, int]:
    """Tensor name to index."""
    return {tensor.name: index for index, tensor in enumerate(graph.tensors)}
