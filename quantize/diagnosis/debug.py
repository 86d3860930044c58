"""Why did accuracy drop: every layer's error, propagated and alone, ranked, with the culprit named.

"Alone" is an experiment: one layer's weights and output are quantized, everything else stays in float,
and the damage is measured where it counts, at the logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.operators import operator
from mnist_export.quantize.diagnosis.alone import rounded_output, with_quantized_layer
from mnist_export.quantize.diagnosis.saturation import quantized_outputs, saturation_shares
from mnist_export.quantize.network.layers import has_weights, keep_float_of, layer_name, readers
from mnist_export.quantize.network.scheme import QuantizedModel
from mnist_export.quantize.network.simulate import common_batch, decibels, run_logits, run_tensors, sqnr_db

IMAGES = 128

_EVEN_DB = 3.0
"""Two causes within a factor of two in noise power are both named."""


@dataclass(frozen=True, kw_only=True)
class LayerDiagnosis:
    """One layer's part in the error.

    Attributes:
        name: as ``--keep-float`` takes it.
        operator: TFLite's name of its operator.
        position: its place in the order of execution, from 0.
        propagated_sqnr_db: at its output in the quantized network against the float one, errors of the
            layers before included.
        own_sqnr_db: at its output when this layer alone is quantized: what it adds itself.
        alone_sqnr_db: at the logits when this layer alone is quantized; the ranking's key.
        weights_sqnr_db: at the logits when its weights alone are; None without weights.
        output_sqnr_db: at the logits when its output alone is.
        max_abs_error: largest propagated error at its output, real units.
        step: scale of its output, real units per step.
        observed: smallest and largest float value at its output.
        saturation: share of float values outside of what its output can represent.
        channel_spread: its largest channel's weight range over its smallest one's; None without weights.
    """

    name: str
    operator: str
    position: int
    propagated_sqnr_db: float
    own_sqnr_db: float
    alone_sqnr_db: float
    weights_sqnr_db: float | None
    output_sqnr_db: float
    max_abs_error: float
    step: float
    observed: tuple[float, float]
    saturation: float
    channel_spread: float | None

    def sentence(self) -> str:
        """What a report says about this layer."""
        parts = [f"alone {self.alone_sqnr_db:.1f} dB at the logits"]
        if self.weights_sqnr_db is not None:
            parts.append(
                f"its weights {self.weights_sqnr_db:.1f} dB, its output {self.output_sqnr_db:.1f} dB"
            )
        parts.append(
            f"at its output {self.own_sqnr_db:.1f} dB alone, {self.propagated_sqnr_db:.1f} dB propagated"
        )
        parts.append(f"range {self.observed[0]:.4g} to {self.observed[1]:.4g}")
        parts.append(f"{self.saturation:.2%} saturated")
        return "; ".join(parts)


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """All layers, the worst first.

    Attributes:
        layers: by `LayerDiagnosis.alone_sqnr_db`, lowest first.
        logits_sqnr_db: of the whole quantized network.
        images: how many images it was measured on.
        advice: what to try, in sentences; the first names the culprit.
    """

    layers: tuple[LayerDiagnosis, ...]
    logits_sqnr_db: float
    images: int
    advice: tuple[str, ...]

    @property
    def culprit(self) -> str:
        """The layer that does the most damage alone."""
        return self.layers[0].name


def diagnose(
    graph: Graph, model: QuantizedModel, images: npt.NDArray[np.uint8], *, count: int = IMAGES
) -> Diagnosis:
    """Measure every quantized layer of a network.

    Args:
        graph: the float graph that the network was quantized from.
        model: the quantized network.
        images: uint8 of shape (n, H, W, C), n >= 1; the first ``count`` are used.
        count: images to measure on.

    Raises:
        InputError: no images, or the network has no quantized layer.
    """
    images = images[:count]
    if not len(images):
        raise InputError("`debug_layers`: expected images to measure on, found none. Use `data`.")
    pairs = _judged(graph, model.graph)
    if not pairs:
        raise InputError(
            f"`debug_layers`: expected a network with quantized activations, found {model.precision}. "
            "Use `int8=True`."
        )
    found = _propagated(graph, model, images, pairs)
    shares = saturation_shares(graph, model.graph, images, input_range=model.input_range)
    reference = run_logits(graph, images, input_range=model.input_range)

    def at_logits(op: Op, *, weights: bool, output: bool) -> float:
        changed = with_quantized_layer(graph, model.graph, op, weights=weights, output=output)
        return sqnr_db(reference, run_logits(changed, images, input_range=model.input_range))

    layers = []
    for position, op in enumerate(graph.ops):
        if op.outputs[0] not in pairs:
            continue
        index = op.outputs[0]
        quant = model.graph.tensors[pairs[index]].quant
        noise = found[index]
        weighted = has_weights(graph, op)
        layers.append(
            LayerDiagnosis(
                name=layer_name(graph, op),
                operator=op.kind,
                position=position,
                propagated_sqnr_db=noise.sqnr_db,
                own_sqnr_db=_own(graph, model, images, op),
                alone_sqnr_db=at_logits(op, weights=weighted, output=True),
                weights_sqnr_db=at_logits(op, weights=True, output=False) if weighted else None,
                output_sqnr_db=at_logits(op, weights=False, output=True),
                max_abs_error=noise.largest,
                step=float(quant.scale[0]) if quant is not None else 0.0,
                observed=(noise.lo, noise.hi),
                saturation=shares.get(graph.tensors[index].name, 0.0),
                channel_spread=_spread(graph, op) if weighted else None,
            )
        )
    layers.sort(key=lambda layer: layer.alone_sqnr_db)
    whole = sqnr_db(reference, run_logits(model.graph, images, input_range=model.input_range))
    return Diagnosis(
        layers=tuple(layers), logits_sqnr_db=whole, images=len(images), advice=_advice(layers, graph)
    )


def _judged(graph: Graph, quantized: Graph) -> dict[int, int]:
    """Outputs whose quantization is a choice: pools and reshapes only pass on their input's codes."""
    pairs = quantized_outputs(graph, quantized)
    chosen = {}
    for op in graph.ops:
        if op.outputs[0] in pairs and not operator(op.kind).same_scale:
            chosen[op.outputs[0]] = pairs[op.outputs[0]]
    return chosen


@dataclass(kw_only=True)
class _Noise:
    signal: float = 0.0
    noise: float = 0.0
    largest: float = 0.0
    lo: float = np.inf
    hi: float = -np.inf

    def add(self, reference: npt.NDArray[np.float32], candidate: npt.NDArray[np.float32]) -> None:
        error = np.abs(reference.astype(np.float64) - candidate)
        self.signal += float(np.sum(np.square(reference, dtype=np.float64)))
        self.noise += float(np.sum(np.square(error)))
        self.largest = max(self.largest, float(error.max()))
        self.lo, self.hi = min(self.lo, float(reference.min())), max(self.hi, float(reference.max()))

    @property
    def sqnr_db(self) -> float:
        return decibels(self.signal, self.noise)


def _propagated(
    graph: Graph, model: QuantizedModel, images: npt.NDArray[np.uint8], pairs: Mapping[int, int]
) -> dict[int, _Noise]:
    found = {index: _Noise() for index in pairs}
    batch, pixels = common_batch(graph, model.graph), model.input_range
    theirs = run_tensors(graph, images, list(pairs), input_range=pixels, batch=batch)
    ours = run_tensors(model.graph, images, list(pairs.values()), input_range=pixels, batch=batch)
    for reference, candidate in zip(theirs, ours, strict=True):
        for index, other in pairs.items():
            found[index].add(reference[index], candidate[other].reshape(reference[index].shape))
    return found


def _own(graph: Graph, model: QuantizedModel, images: npt.NDArray[np.uint8], op: Op) -> float:
    """Decibels at an operator's output when it alone is quantized; its inputs are the float network's."""
    changed = with_quantized_layer(graph, model.graph, op, weights=has_weights(graph, op), output=True)
    rounded = rounded_output(changed, graph.tensors[op.outputs[0]].name)
    noise = _Noise()
    batch, pixels = common_batch(graph, changed), model.input_range
    theirs = run_tensors(graph, images, [op.outputs[0]], input_range=pixels, batch=batch)
    ours = run_tensors(changed, images, [rounded], input_range=pixels, batch=batch)
    for reference, candidate in zip(theirs, ours, strict=True):
        noise.add(reference[op.outputs[0]], candidate[rounded])
    return noise.sqnr_db


def _spread(graph: Graph, op: Op) -> float:
    axis = operator(op.kind).weight_axis or 0
    weights = graph.tensors[op.inputs[1]].real()
    others = tuple(i for i in range(weights.ndim) if i != axis)
    bound = np.abs(weights).max(axis=others)
    used = bound[bound > 0]
    return float(used.max() / used.min()) if used.size else 1.0


def _advice(layers: list[LayerDiagnosis], graph: Graph) -> tuple[str, ...]:
    worst = layers[0]
    by_weights = worst.weights_sqnr_db is not None and worst.weights_sqnr_db < worst.output_sqnr_db + _EVEN_DB
    by_output = worst.weights_sqnr_db is None or worst.output_sqnr_db < worst.weights_sqnr_db + _EVEN_DB
    # A float layer's output is still rounded where an integer layer reads it.
    after = readers(graph, graph.ops[worst.position]) if by_output else ()
    listed = " and ".join(f"'{name}'" for name in after)
    why = f": {listed} would round its output again" if after else ""
    said = [
        f"'{worst.name}' does the most damage: quantized alone it leaves {worst.alone_sqnr_db:.1f} dB at the "
        f"logits. Exclude it with {keep_float_of(worst.name, *after)}{why}."
    ]
    if by_weights:
        spread = worst.channel_spread or 1.0
        said.append(
            f"Its weights are a cause ({worst.weights_sqnr_db:.1f} dB alone); its widest channel spans "
            f"{spread:,.0f} times its narrowest. Leave out `per_tensor` where it is set, or try "
            "`equalize=True` or `adaround=True`."
        )
    if by_output:
        lo, hi = worst.observed
        said.append(
            f"Its output's range is a cause ({worst.output_sqnr_db:.1f} dB alone): {lo:.4g} to {hi:.4g}, "
            f"{worst.saturation:.2%} saturated. Try another `calibration_method`, `equalize=True`, or "
            '`precision="int16x8"`.'
        )
    return tuple(said)
