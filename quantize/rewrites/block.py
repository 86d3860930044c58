"""A block of outputs that one convolution computes together, and how one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph, Op


@dataclass(frozen=True, kw_only=True)
class Block:
    """Outputs that one convolution computes together.

    Attributes:
        rows: 1, or the height of the pool that follows.
        columns: columns of outputs; a multiple of the pool's width where a pool follows.
        gathered: each block is first joined with the columns around it that its outputs reach, by a
            convolution with ones and zeros, so that the kernel over blocks is one block wide.
    """

    rows: int = 1
    columns: int = 1
    gathered: bool = False

    def __post_init__(self) -> None:
        """Refuse blocks of nothing."""
        if self.rows < 1 or self.columns < 1:
            raise InputError(f"block: expected at least 1 row and 1 column, found {self}.")

    def __str__(self) -> str:
        """Rows by columns, such as ``2x4`` or ``2x4 gathered``."""
        return f"{self.rows}x{self.columns}" + (" gathered" if self.gathered else "")


Choose = Callable[[Graph, Op, Sequence[Block]], Block | None]
"""Takes a graph, one of its convolutions and the blocks that it could have; gives one, or None."""


def never(graph: Graph, conv: Op, blocks: Sequence[Block]) -> Block | None:
    """Leave every convolution as it is."""
    return None
