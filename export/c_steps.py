"""The order in which generated C computes: pools that a convolution does on the way, layers done in place."""

from __future__ import annotations

from dataclasses import dataclass

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.quantize.network.geometry import Window, window_of

FUSED = (2, 2)
"""Height and width of the pools that convolutions take over."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One function call.

    Attributes:
        op: what it computes.
        pool: the pool behind it that it computes as well.
        in_place: its result lies where its input did.
    """

    op: Op
    pool: Op | None = None
    in_place: bool = False

    @property
    def output(self) -> int:
        """The activation that it writes."""
        return (self.pool or self.op).outputs[0]


def window_for(graph: Graph, op: Op) -> Window:
    """The window of a convolution or a pool of a graph."""
    size = graph.tensors[op.inputs[0]].shape[1:3]
    if family(op.kind) == Family.POOL:
        kernel = (int(op.options["filterHeight"]), int(op.options["filterWidth"]))
    else:
        shape = graph.tensors[op.inputs[1]].shape
        kernel = (shape[1], shape[2])
    return window_of(op, size, kernel)


def steps_of(graph: Graph) -> list[Step]:
    """The calls, in order; views cost none."""
    readers: dict[int, list[Op]] = {}
    for op in graph.ops:
        for index in op.inputs:
            readers.setdefault(index, []).append(op)
    steps: list[Step] = []
    taken: set[int] = set()
    for op in graph.ops:
        if family(op.kind) == Family.VIEW or op.outputs[0] in taken:
            continue
        pool = _pool_behind(graph, op, readers)
        if pool is not None:
            taken.add(pool.outputs[0])
        steps.append(Step(op=op, pool=pool, in_place=_is_scaling(graph, op, readers)))
    return steps


def _pool_behind(graph: Graph, op: Op, readers: dict[int, list[Op]]) -> Op | None:
    if op.kind != "CONV_2D" or op.outputs[0] in graph.outputs:
        return None
    behind = readers.get(op.outputs[0], [])
    if len(behind) != 1 or behind[0].kind != "MAX_POOL_2D":
        return None
    window = window_for(graph, behind[0])
    whole = not window.is_padded and behind[0].options.get("fusedActivationFunction", 0) == 0
    return behind[0] if whole and window.kernel == FUSED and window.strides == FUSED else None


def _is_scaling(graph: Graph, op: Op, readers: dict[int, list[Op]]) -> bool:
    """Whether an operator maps each byte of an activation that nothing else reads."""
    source = op.inputs[0]
    if op.kind != "DEPTHWISE_CONV_2D" or source in graph.inputs or source in graph.outputs:
        return False
    viewed = {o.outputs[0] for o in graph.ops if family(o.kind) == Family.VIEW} | {
        o.inputs[0] for o in graph.ops if family(o.kind) == Family.VIEW
    }
    window = window_for(graph, op)
    one = window.kernel == (1, 1) and window.strides == (1, 1) and not window.is_padded
    same = graph.tensors[source].shape == graph.tensors[op.outputs[0]].shape
    return one and same and len(readers[source]) == 1 and source not in viewed
