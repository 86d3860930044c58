"""The pixel rule of a job: in the float network before anything is quantized, and in what is said of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_export.core.kinds import Precision
from mnist_export.core.pixel_rules import ChannelRule, as_channel_rule
from mnist_export.core.pixels import InputRange

if TYPE_CHECKING:
    from mnist_export.core.graph import Graph
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.quantize import QuantizedModel


def with_pixels(job: Job, graph: Graph) -> tuple[Job, Graph]:
    """Put a rule that is more than a range into the float graph; the job's scheme gets the graph's own range.

    Args:
        job: its `input_range` is the model's rule, and stays.
        graph: the float graph of the model.

    Raises:
        InputError: a rule for another number of channels.
    """
    from mnist_export.quantize.entering import enter_rule

    rule = inside(job)
    if rule is None:
        return job, graph
    entered = enter_rule(graph, rule)
    return replace(job, scheme=replace(job.scheme, input_range=entered.input_range)), entered.graph


def inside(job: Job) -> ChannelRule | None:
    """The rule that the files compute themselves; None where pixels enter the network by a plain range.

    A range whose pixels are all far from 0 is one too where activations are integers: 0 needs a code there.
    """
    from mnist_export.quantize.entering import holds_zero

    pixels = job.input_range
    if isinstance(pixels, ChannelRule):
        return pixels
    plain = job.extra.exact or job.scheme.precision not in {Precision.INT8, Precision.INT16X8}
    return None if plain or holds_zero(pixels) else as_channel_rule(pixels)


def with_preprocessing(job: Job, network: QuantizedModel) -> QuantizedModel:
    """The network, which knows what rule it computes, and a note on where."""
    from mnist_export.quantize.entering import LAYER

    rule = inside(job)
    if rule is None:
        return network
    own = any(tensor.name.startswith(LAYER) for tensor in network.graph.tensors)
    where = f"as a 1x1 convolution of its own, '{LAYER}'" if own else "in the first layer's weights"
    note = f"the files compute the pixel rule ({rule.sentence()}) themselves, {where}"
    return replace(network, preprocessing=rule, notes=(*network.notes, note))


def training_rule(job: Job) -> tuple[ChannelRule | None, InputRange]:
    """What a model that is trained in int8 gets as its first layer, and the range of pixels before that."""
    rule, pixels = inside(job), job.input_range
    if rule is None and isinstance(pixels, InputRange):
        return None, pixels
    return rule, InputRange()
