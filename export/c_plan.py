"""Places activations in one arena: two share bytes only where their lifetimes do not meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from mnist_export.core.graph import Graph
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import family
from mnist_export.export.c_steps import Step

WORD: Final = 4
"""Bytes of a word: scratch that holds words starts on a multiple."""


@dataclass(frozen=True, kw_only=True)
class ArenaPlan:
    """Where activations lie.

    Attributes:
        size_bytes: of the arena, for one image.
        offsets: activation to its first byte; the graph's input has none.
        root: activation to the one whose bytes it is (a reshape's output is its input).
    """

    size_bytes: int
    offsets: dict[int, int]
    root: dict[int, int]


def plan_steps(graph: Graph, steps: Sequence[Step], scratch: Sequence[int]) -> tuple[ArenaPlan, list[int]]:
    """Place the activations that a list of calls reads and writes, and what each call needs for itself.

    Args:
        graph: whose activations they are.
        steps: in order.
        scratch: bytes that each call needs while it runs; they start on a multiple of `WORD`.

    Returns:
        The plan, and each call's first byte of scratch (0 where it needs none).
    """
    root = {i: i for i in graph.activations()}
    in_place = {step.output: step.op.inputs[0] for step in steps if step.in_place}
    for op in graph.ops:
        if family(op.kind) == Family.VIEW:
            root[op.outputs[0]] = root[op.inputs[0]]
        elif op.outputs[0] in in_place:
            root[op.outputs[0]] = root[in_place[op.outputs[0]]]
    entry = root[graph.inputs[0]]
    lives: dict[int, _Life] = {}
    for time, step in enumerate(steps):
        for index in (*step.op.inputs, step.output):
            place = root.get(index)
            if place is not None and place != entry:
                first = lives[place].born if place in lives else time
                lives[place] = _Life(size=_size(graph, place), born=first, dies=time)
        if scratch[time]:
            lives[-1 - time] = _Life(size=scratch[time], born=time, dies=time, alignment=WORD)
    for index in graph.outputs:
        if root[index] in lives:
            lives[root[index]] = replace(lives[root[index]], dies=len(steps))
    placed = _place(lives)
    total = max((placed[i] + life.size for i, life in lives.items()), default=0)
    plan = ArenaPlan(
        size_bytes=-(-max(total, 1) // WORD) * WORD,
        offsets={i: first for i, first in placed.items() if i >= 0},
        root=root,
    )
    return plan, [placed.get(-1 - time, 0) for time in range(len(steps))]


@dataclass(frozen=True, kw_only=True)
class _Life:
    """Bytes that are needed from one moment to another."""

    size: int
    born: int
    dies: int
    alignment: int = 1


def _place(lives: Mapping[int, _Life]) -> dict[int, int]:
    """First byte of each, largest first, at the lowest place that is free during its life."""
    placed: dict[int, int] = {}
    for index, life in sorted(lives.items(), key=lambda item: (-item[1].size, item[0])):
        start = 0
        for other, first in sorted(placed.items(), key=lambda item: item[1]):
            taken = lives[other]
            meets = life.born <= taken.dies and taken.born <= life.dies
            if meets and start < first + taken.size and first < start + life.size:
                start = -(-(first + taken.size) // life.alignment) * life.alignment
        placed[index] = start
    return placed


def _size(graph: Graph, index: int) -> int:
    tensor = graph.tensors[index]
    return int(np.prod(tensor.shape[1:])) * tensor.dtype.itemsize
