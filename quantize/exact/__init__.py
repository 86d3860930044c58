"""Exact int8: scales, weights and biases chosen so that every runtime computes the same integers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from mnist_export.core.graph import Graph
    from mnist_export.data.dataset import Split
    from mnist_export.quantize.network.scheme import QuantizedModel, SchemeConfig

__all__ = ["VARIANT", "quantize_exact"]

VARIANT = "exact"


def quantize_exact(
    graph: Graph,
    calibration_images: npt.NDArray[np.uint8],
    validation: Split | None,
    config: SchemeConfig,
    *,
    seed: int = 0,
    one_scale: bool = False,
    notify: Callable[[str], None] | None = None,
) -> QuantizedModel:
    """Quantize a float graph so that no kernel's rounding rule can change an output.

    Args:
        graph: a float graph, as `quantize.lowering.lower` gives it.
        calibration_images: uint8 of shape (n, H, W, C), from training data; 1,000 do well.
        validation: decides between activation scales by accuracy; never test images. None leaves the
            choice to the mean square error alone.
        config: the input's range, per channel or not, and the weights' range.
        seed: chooses which values statistics are computed from.
        one_scale: every sum has one scale, also where its operands are of very different sizes: generated C
            adds integers only.
        notify: told what the search over scales does.

    Returns:
        A network of int8 tensors with power-of-two scales, variant ``exact``. Its input range is its own:
        real input values are whole multiples of 1/256, the int8 input is still ``pixel - 128``.

    Raises:
        UnsupportedError: a layer with no exact form; the message names it.
        InputError: no calibration images.
    """
    from mnist_export.quantize.exact.build import build
    from mnist_export.quantize.exact.observe import observe
    from mnist_export.quantize.exact.prepare import prepare
    from mnist_export.quantize.exact.scales import plan_scales, set_apart
    from mnist_export.quantize.exact.search import search_scales
    from mnist_export.quantize.network.scheme import QuantizedModel

    prepared = prepare(graph, config.input_range)
    observed = observe(prepared, calibration_images, seed=seed)
    if not one_scale:
        prepared = replace(prepared, outline=set_apart(prepared.outline, observed.samples))
    plan = plan_scales(prepared.outline, observed.samples, prepared.input_quant)
    if validation is None or not len(validation):
        exact = build(prepared, plan, observed, config, seed)
    else:
        exact = search_scales(prepared, plan, observed, config, validation, seed=seed, notify=notify)
    return QuantizedModel(
        graph=exact,
        precision=config.precision,
        variant=VARIANT,
        input_range=prepared.input_range,
        calibration_images=len(observed.images),
        notes=prepared.notes,
        keeps_float=any(exact.tensors[op.outputs[0]].dtype == np.float32 for op in exact.ops),
        options={"scheme": "exact"},
        source=prepared.graph,
    )
