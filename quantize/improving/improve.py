"""What can be done about a quantization's error without training, by name, in the order it works in."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph
from mnist_export.core.parameters import parameter
from mnist_export.core.registry import LazyRegistry, unknown_name
from mnist_export.quantize.network.scheme import SchemeConfig

Images = npt.NDArray[np.uint8]


class OnFloats(Protocol):
    """Changes a float graph into an equivalent one that quantizes better."""

    def __call__(self, graph: Graph, config: SchemeConfig) -> tuple[Graph, str]:
        """Give the graph and a sentence on what was done."""


class OnIntegers(Protocol):
    """Changes the integers of a quantized graph so that it is closer to its float original."""

    def __call__(
        self, graph: Graph, quantized: Graph, images: Images, config: SchemeConfig
    ) -> tuple[Graph, str]:
        """Give the quantized graph and a sentence on what was done."""


_HERE = "mnist_export.quantize.improving.improve"

FLOATS: LazyRegistry[OnFloats] = LazyRegistry("improvement", {"equalize": f"{_HERE}:_equalize"})
INTEGERS: LazyRegistry[OnIntegers] = LazyRegistry(
    "improvement", {"adaround": f"{_HERE}:_adaround", "bias-correction": f"{_HERE}:_bias_correction"}
)


def names() -> tuple[str, ...]:
    """All improvements, in the order in which they are carried out."""
    return (*FLOATS, *INTEGERS)


def check_names(given: tuple[str, ...]) -> None:
    """Refuse a name that no registry holds.

    Raises:
        InputError: the message lists the known names.
    """
    for name in given:
        if name not in names():
            raise unknown_name("improvement", name, names())


def improve_floats(graph: Graph, config: SchemeConfig) -> tuple[Graph, tuple[str, ...]]:
    """Run the improvements that come before calibration.

    Args:
        graph: a float graph.
        config: names them.

    Returns:
        The graph and a sentence for each.

    Raises:
        InputError: an unknown name.
    """
    check_names(config.improvements)
    notes = []
    for name in FLOATS:
        if name in config.improvements:
            graph, note = FLOATS.get(name)(graph, config)
            notes.append(note)
    return graph, tuple(notes)


def improve_integers(
    graph: Graph, quantized: Graph, images: Images, config: SchemeConfig
) -> tuple[Graph, tuple[str, ...]]:
    """Run the improvements that come after quantization.

    Args:
        graph: the float graph.
        quantized: its integer form.
        images: uint8 calibration images of shape (n, H, W, C).
        config: names them.

    Returns:
        The integer graph and a sentence for each.
    """
    notes = []
    for name in INTEGERS:
        if name in config.improvements:
            if not len(images):
                raise InputError(f"{parameter(name)}: expected calibration images, found none. Use `data`.")
            quantized, note = INTEGERS.get(name)(graph, quantized, images, config)
            notes.append(note)
    return quantized, tuple(notes)


def _equalize(graph: Graph, config: SchemeConfig) -> tuple[Graph, str]:
    from mnist_export.quantize.improving.equalization import equalize

    changed, pairs = equalize(graph)
    if not pairs:
        return graph, "equalization: no two neighbouring layers could share their ranges; nothing was changed"
    return changed, f"equalization: the ranges of {pairs} pairs of neighbouring layers were shared out"


def _adaround(graph: Graph, quantized: Graph, images: Images, config: SchemeConfig) -> tuple[Graph, str]:
    from mnist_export.quantize.improving.adaround import adaround

    changed, layers = adaround(graph, quantized, images, input_range=config.input_range)
    said = ", ".join(f"{layer.layer} {layer.changed:.1%}" for layer in layers)
    return changed, f"learned rounding: weights that left the nearest integer, by layer: {said}"


def _bias_correction(
    graph: Graph, quantized: Graph, images: Images, config: SchemeConfig
) -> tuple[Graph, str]:
    from mnist_export.quantize.improving.bias_correction import correct_biases

    changed = correct_biases(graph, quantized, images, input_range=config.input_range)
    return changed, f"bias correction: mean errors of {len(images)} images were taken out of the biases"
