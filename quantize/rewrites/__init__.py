"""Rewrites that make files fast: named changes of the graph that leave its results as they were.

Rewrites of the float stage run before quantization and keep the float function; those of the integer
stage run on the quantized graph, each file's own, and keep every integer. The graph before them is kept:
a model's ``plain`` form is one call away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_export.core.graph import Graph
from mnist_export.core.kinds import Precision
from mnist_export.core.registry import LazyRegistry
from mnist_export.quantize.rewrites.block import Block, Choose, never
from mnist_export.quantize.rewrites.rewrite import Applied, Rewrite, Stage, run
from mnist_export.quantize.rewrites.target import TARGETS, Target

if TYPE_CHECKING:
    from mnist_export.quantize.network.scheme import QuantizedModel

__all__ = [
    "REWRITES",
    "TARGETS",
    "Applied",
    "Block",
    "Choose",
    "Rewrite",
    "Stage",
    "Target",
    "never",
    "prepare",
    "rewrite_for",
    "rule_of",
    "without_rounding_differences",
]

_HERE = "mnist_export.quantize.rewrites"

REWRITES: LazyRegistry[Rewrite] = LazyRegistry(
    "rewrite",
    {
        "merge_dense": f"{_HERE}.merge_dense:REWRITE",
        "shift_into_next": f"{_HERE}.shift_into_next:REWRITE",
        "activations_as_maps": f"{_HERE}.activations_as_maps:REWRITE",
        "pointwise_as_depthwise": f"{_HERE}.pointwise_as_depthwise:REWRITE",
        "affine_after_activation": f"{_HERE}.affine_after_activation:REWRITE",
        "padded_average": f"{_HERE}.padded_average:REWRITE",
        "average_as_depthwise": f"{_HERE}.average_as_depthwise:REWRITE",
        "requantize_as_depthwise": f"{_HERE}.requantize_as_depthwise:REWRITE",
        "drop_idle_clips": f"{_HERE}.drop_idle_clips:REWRITE",
        "crop_unread": f"{_HERE}.crop_unread:REWRITE",
        "block_convolution": f"{_HERE}.block_convolution:REWRITE",
        "merge_reshapes": f"{_HERE}.merge_reshapes:REWRITE",
        "clip_in_blocks": f"{_HERE}.clip_in_blocks:REWRITE",
    },
)
"""Name to implementation, in the order in which they run."""

_EQUAL_ROUNDING = ("average_as_depthwise", "requantize_as_depthwise")
_AFTER_CLIPS = "merge_reshapes"


def prepare(graph: Graph, precision: Precision = Precision.INT8) -> tuple[Graph, tuple[Applied, ...]]:
    """Run the rewrites of the float stage; they are the same for every target.

    Args:
        graph: a float graph, as `quantize.lowering.lower` gives it.
        precision: what it will be exported in.

    Returns:
        The graph with the same float function, and what changed.

    Raises:
        ConversionError: the outputs differ from the graph's by more than float32's rounding.
    """
    from mnist_export.quantize.rewrites.proof import prove

    made, applied = _run_all(graph, Stage.FLOAT, never, only_int8=precision == Precision.INT8)
    if applied:
        prove(graph, made, "rewrites before quantization")
    return made, applied


def without_rounding_differences(model: QuantizedModel) -> QuantizedModel:
    """Give a network of another tool the operators and scales that every runtime rounds in the same way.

    Args:
        model: integers, such as TensorFlow's converter makes after quantization-aware training.

    Returns:
        The same network: average pools and changes of scale are depthwise convolutions, which round to even,
        and sums of tensors have scales without ties. The very same where it has none of them.
    """
    from mnist_export.quantize.scales.rescaled import without_ties

    graph, applied = model.graph, []
    for name in _EQUAL_ROUNDING:
        graph, found = run(REWRITES.get(name), graph, never)
        applied += [found] if found is not None else []
    graph = without_ties(graph)
    if graph is model.graph:
        return model
    return replace(
        model,
        graph=graph,
        notes=(*model.notes, *(found.sentence() for found in applied)),
        rewrites=(*model.rewrites, *(found.name for found in applied)),
    )


def rewrite_for(
    model: QuantizedModel, target: Target, *, choose: Choose | None = None
) -> tuple[QuantizedModel, tuple[Applied, ...]]:
    """Give an int8 model the form that a target's kernels are fastest with.

    Args:
        model: the network; other precisions than int8 are returned as they are.
        target: ``LITERT``, ``ONNXRUNTIME`` or ``PORTABLE`` (not ``NATIVE`` or ``AUTO``).
        choose: chooses each convolution's block; None takes the target's rule.

    Returns:
        The model with the same integers at its outputs for every input, and what changed.

    Raises:
        ConversionError: the integers differ on the inputs of the check.
    """
    from mnist_export.quantize.rewrites.proof import prove

    if TARGETS.get(target).kernels is None or model.precision != Precision.INT8:
        return model, ()
    made, applied = _run_all(model.graph, Stage.INTEGER, choose or rule_of(target))
    if not applied:
        return model, ()
    prove(model.graph, made, f"rewrites for {target}")
    names = tuple(dict.fromkeys((*model.rewrites, *(a.name for a in applied))))
    return replace(model, graph=made, rewrites=names), applied


def rule_of(target: Target) -> Choose:
    """The rule that chooses blocks for a target."""
    from mnist_export.quantize.rewrites.block_choice import by_rule

    kernels = TARGETS.get(target).kernels
    return by_rule(kernels) if kernels is not None else never


def _run_all(
    graph: Graph, stage: Stage, choose: Choose, *, only_int8: bool = True
) -> tuple[Graph, tuple[Applied, ...]]:
    applied: list[Applied] = []
    found = {name: REWRITES.get(name) for name in REWRITES}
    names = [n for n, r in found.items() if r.stage == stage and (only_int8 or not r.only_int8)]
    if stage == Stage.INTEGER:
        names.append(_AFTER_CLIPS)  # moved clips bring reshapes together once more
    for name in names:
        graph, result = run(found[name], graph, choose)
        if result is not None:
            applied.append(result)
    return graph, tuple(applied)
