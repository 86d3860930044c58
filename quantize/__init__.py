"""From a Keras model to one quantized network, the one set of integers that every format is written from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph
from mnist_export.quantize.network.scheme import QuantizedModel, SchemeConfig

__all__ = ["QuantizedModel", "SchemeConfig", "quantize"]


def quantize(
    graph: Graph, config: SchemeConfig, images: npt.NDArray[np.uint8] | None = None
) -> QuantizedModel:
    """Turn a float graph into the numbers of one precision.

    Args:
        graph: a float graph, as `quantize.lowering.lower` gives it.
        config: the scheme's settings.
        images: calibration images, uint8 of shape (n, H, W, C); needed for int8 and int16x8.

    Returns:
        The network with its integers (or float weights).

    Raises:
        InputError: an integer precision without calibration images.
        UnsupportedError: a layer that the precision cannot carry, by name.
    """
    from mnist_export.quantize.diagnosis.saturation import saturation_shares
    from mnist_export.quantize.improving.improve import improve_floats, improve_integers
    from mnist_export.quantize.network.layers import literal_names
    from mnist_export.quantize.post_training.integers import quantize_graph
    from mnist_export.quantize.post_training.storage import STORAGE
    from mnist_export.quantize.ranges.calibration_check import calibrate_and_check

    if config.precision in STORAGE:
        return QuantizedModel(
            graph=STORAGE[config.precision](graph),
            precision=config.precision,
            input_range=config.input_range,
            options=config.options(),
        )
    if images is None or not len(images):
        raise InputError(f"{config.precision}: expected calibration images, found none. Use `data`.")
    source, notes = improve_floats(graph, config)
    literal = replace(config, keep_float=literal_names(source, config.keep_float))
    ranges, movement = calibrate_and_check(
        source, images, input_range=config.input_range, method=config.calibration_method
    )
    integers, more = improve_integers(source, quantize_graph(source, ranges, literal), images, config)
    # The extremes cut nothing off, by definition; what another method cuts off is counted.
    clips = config.calibration_method != "minmax"
    return QuantizedModel(
        graph=integers,
        precision=config.precision,
        input_range=config.input_range,
        calibration_images=len(images),
        keeps_float=bool(config.keep_float),
        options=config.options(),
        notes=(*notes, *more),
        saturation=saturation_shares(source, integers, images, input_range=config.input_range)
        if clips
        else {},
        source=source,
        movement=movement,
    )
