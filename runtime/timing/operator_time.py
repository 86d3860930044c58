"""A model's time by operator, whatever runtime it was measured in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mnist_export.core.graph.onnx_operators import onnx_kinds
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import kinds

CONVERSIONS: Final = tuple(sorted(kinds(Family.BOUNDARY) | onnx_kinds(Family.BOUNDARY)))
MOVES: Final = (
    "Transpose", "ReorderInput", "ReorderOutput", "TRANSPOSE", "PACK", "STRIDED_SLICE",
    *sorted(onnx_kinds(Family.VIEW) | kinds(Family.VIEW, Family.SHAPE)),
)  # fmt: skip
INTEGERS: Final = ("uint8", "int8", "int16", "uint16")


@dataclass(frozen=True, kw_only=True)
class NodeTime:
    """One operator: as ONNX Runtime executes it, after its own fusions, or a .tflite file's, timed alone.

    Attributes:
        name: of the node; a .tflite operator's is that of its output.
        kind: operator.
        microseconds: median of one run; ONNX Runtime's profiler counts whole microseconds.
        share: of all operators' time, fraction of 1.
        integer: whether its first input is of an integer type.
        channels: of its first input where that is an image, else 0.
        kernels: ``XNNPACK``, ``builtin`` or ``reference`` for LiteRT, else empty.
        hybrid: whether it computes on float values with 8-bit weights.
        dtype: type of its first input, as the runtime calls it.
    """

    name: str
    kind: str
    microseconds: float
    share: float
    integer: bool
    channels: int
    kernels: str = ""
    hybrid: bool = False
    dtype: str = ""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Operators in execution order.

    Attributes:
        label: the model.
        batch: images of one run.
        nodes: what was executed.
        runtime: ``onnxruntime`` or ``litert``.
        kernels: what LiteRT was asked for, as in `NodeTime`; empty for ONNX Runtime.
        alone: whether operators were timed one by one, each as a model of its own.
        whole_us: median of a run of the whole model beside them, microseconds; None where not measured.
        overhead_us: what a call costs before anything is computed, taken off each operator that was timed
            alone; None where there is no such thing.
        live_tensor_peak_bytes: of a .tflite, see `arena.ActivationMemory`.
        arena_bytes: likewise, with the built-in kernels whatever was timed.
        notes: what was left out.
    """

    label: str
    batch: int
    nodes: tuple[NodeTime, ...]
    runtime: str = "onnxruntime"
    kernels: str = ""
    alone: bool = False
    whole_us: float | None = None
    overhead_us: float | None = None
    live_tensor_peak_bytes: int | None = None
    arena_bytes: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def parts_us(self) -> float:
        """What the operators take together, with one call's overhead, microseconds."""
        return sum(node.microseconds for node in self.nodes) + (self.overhead_us or 0.0)

    def slowest(self, count: int = 5) -> tuple[NodeTime, ...]:
        """The operators that take longest, the slowest first."""
        return tuple(sorted(self.nodes, key=lambda node: -node.microseconds)[:count])

    def share_of(self, kinds: Sequence[str]) -> float:
        """The share of the time that operators of some kinds take."""
        return sum(node.share for node in self.nodes if node.kind in kinds)

    @property
    def float_islands(self) -> tuple[tuple[NodeTime, ...], ...]:
        """Runs of neighbouring operators that compute in float in a model that has integers too.

        Conversions do not count as computing, and neither does moving values about.
        """
        computing = [n for n in self.nodes if n.kind not in (*CONVERSIONS, *MOVES)]
        if not any(node.integer for node in computing):
            return ()
        islands: list[list[NodeTime]] = []
        before = True
        for node in computing:
            if not node.integer:
                if before:
                    islands.append([])
                islands[-1].append(node)
            before = node.integer
        return tuple(tuple(island) for island in islands)
