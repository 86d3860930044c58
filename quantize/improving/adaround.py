"""Learned rounding: each weight goes up or down, whichever keeps the layer's output.

Reference: Nagel et al., "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML 2020.
One layer at a time, from the input on; inputs are those of the layers already rounded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Activation, Graph, Op
from mnist_export.core.graph.operators import operator
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.improving.patches import Floats, Patches, collect
from mnist_export.quantize.network.layers import by_name, has_bias, layer_name, weighted_ops

# The paper's: stretch of the sigmoid, annealing of the regularizer, its weight, its warm-up.
_ZETA, _GAMMA = 1.1, -0.1
_BETA_START, _BETA_END = 20.0, 2.0
_LAMBDA = 0.01
_WARMUP = 0.2


@dataclass(frozen=True, kw_only=True)
class RoundingConfig:
    """Effort of the search.

    Attributes:
        steps: Adam steps a layer; the paper takes 10,000.
        batch: places a step.
        places: receptive fields a layer in all; a tenth of them judges the result.
        learning_rate: of Adam.
        seed: of the choice of places and batches.
    """

    steps: int = 500
    batch: int = 256
    places: int = 12_000
    learning_rate: float = 0.01
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class LayerRounding:
    """What it did to one layer.

    Attributes:
        layer: its name.
        changed: share of weights that left the nearest integer.
        error_before: mean squared error of the output with nearest rounding, on places held out.
        error_after: the same with what was kept.
    """

    layer: str
    changed: float
    error_before: float
    error_after: float


def adaround(
    graph: Graph,
    quantized: Graph,
    images: npt.NDArray[np.uint8],
    *,
    input_range: InputRange,
    config: RoundingConfig | None = None,
) -> tuple[Graph, tuple[LayerRounding, ...]]:
    """Choose each int8 weight's rounding direction so that layer outputs keep.

    Minimizes ``E|f(W x + b) - f(W_q x_q + b_q)|^2 + lambda * sum(1 - |2h - 1|^beta)`` over
    ``W_q = scale * clip(floor(W / scale) + h)``, ``h`` in 0..1; scales and biases stay. A layer whose error
    on held-out places does not fall keeps its nearest rounding.

    Args:
        graph: the float graph.
        quantized: its integer form; operators are matched by their outputs' names.
        images: uint8 calibration images of shape (n, H, W, C), n >= 1.
        input_range: what pixel values 0 and 255 become for the model.
        config: effort.

    Returns:
        The integer graph with other weights, and what was done to each layer.
    """
    chosen = config or RoundingConfig()
    known = by_name(graph)
    report: list[LayerRounding] = []
    for op in tuple(weighted_ops(quantized)):
        weights = quantized.tensors[op.inputs[1]]
        index = known.get(quantized.tensors[op.outputs[0]].name)
        original = graph.producer(index) if index is not None else None
        if weights.dtype != np.int8 or weights.quant is None or original is None:
            continue
        patches = collect(
            graph,
            quantized,
            (original, op),
            images,
            input_range=input_range,
            count=chosen.places,
            seed=chosen.seed,
        )
        layer = _Layer(graph, quantized, original, op)
        codes, before, after = layer.search(patches, chosen)
        changed = float(np.mean(codes != layer.nearest))
        report.append(
            LayerRounding(
                layer=layer_name(graph, original), changed=changed, error_before=before, error_after=after
            )
        )
        quantized = quantized.with_tensors({op.inputs[1]: replace(weights, data=layer.restored(codes))})
    return quantized, tuple(report)


class _Layer:
    """One layer as a matrix: weights of shape (k, out), for every kind of layer."""

    def __init__(self, graph: Graph, quantized: Graph, original: Op, op: Op) -> None:
        self._shape = quantized.tensors[op.inputs[1]].shape
        self._axis = operator(op.kind).weight_axis or 0
        self._depthwise = op.kind == "DEPTHWISE_CONV_2D"
        tensor = quantized.tensors[op.inputs[1]]
        if tensor.quant is None or tensor.data is None:
            raise ValueError(f"'{tensor.name}' is not quantized")
        self.nearest = self._matrix(tensor.data)
        self._limit = float(np.abs(self.nearest).max())
        self._scale = np.broadcast_to(tensor.quant.scale.astype(np.float32), (self.nearest.shape[1],))
        self._weights = self._matrix(graph.tensors[original.inputs[1]].real())
        self._bias = quantized.tensors[op.inputs[2]].real() if has_bias(op) else np.zeros(1, np.float32)
        self._activation = int(op.options.get("fusedActivationFunction", 0))

    def _matrix(self, values: npt.NDArray[Any]) -> Floats:
        moved = np.moveaxis(values, self._axis, -1)
        return np.asarray(moved.reshape(-1, moved.shape[-1]), np.float32)

    def restored(self, codes: Floats) -> npt.NDArray[np.int8]:
        """Codes of shape (k, out) in the tensor's own layout."""
        shape = [size for i, size in enumerate(self._shape) if i != self._axis]
        moved = codes.reshape(*shape, self._shape[self._axis])
        return np.ascontiguousarray(np.moveaxis(moved, -1, self._axis)).astype(np.int8)

    def _output(self, x: Floats, codes: Floats) -> Floats:
        real = codes * self._scale
        y = np.einsum("bkc,kc->bc", x, real) if self._depthwise else x @ real
        return np.asarray(y + self._bias, np.float32)

    def _activate(self, y: Floats) -> tuple[Floats, Floats]:
        if self._activation == Activation.RELU:
            return np.maximum(y, 0), (y > 0).astype(np.float32)
        if self._activation == Activation.RELU6:
            return np.clip(y, 0, 6), ((y > 0) & (y < 6)).astype(np.float32)
        return y, np.ones_like(y)

    def error(self, patches: Patches, codes: Floats) -> float:
        """Mean squared error of the activated output."""
        found, wanted = self._output(patches.inputs, codes), patches.outputs
        difference = self._activate(found)[0] - self._activate(wanted)[0]
        return float(np.mean(np.square(difference, dtype=np.float64)))

    def search(self, patches: Patches, config: RoundingConfig) -> tuple[Floats, float, float]:
        """Learn the rounding; gives the codes kept and the held-out error before and after."""
        generator = np.random.default_rng(config.seed)
        order = generator.permutation(len(patches.inputs))
        cut = max(1, len(order) // 10)
        judge = Patches(inputs=patches.inputs[order[:cut]], outputs=patches.outputs[order[:cut]])
        learn = order[cut:] if len(order) > cut else order
        codes = self._learn(patches, learn, config, generator)
        before, after = self.error(judge, self.nearest), self.error(judge, codes)
        return (codes, before, after) if after < before else (self.nearest, before, before)

    def _learn(
        self,
        patches: Patches,
        learn: npt.NDArray[np.int64],
        config: RoundingConfig,
        generator: np.random.Generator,
    ) -> Floats:
        ratio = self._weights / self._scale
        floor = np.floor(ratio)
        start = np.clip((ratio - floor - _GAMMA) / (_ZETA - _GAMMA), 1e-4, 1 - 1e-4)
        v = np.log(start / (1 - start)).astype(np.float32)
        first, second = np.zeros_like(v), np.zeros_like(v)
        wanted = self._activate(patches.outputs)[0]
        power = max(float(np.mean(np.square(wanted))), 1e-12)
        for step in range(1, config.steps + 1):
            batch = learn[generator.integers(0, len(learn), min(config.batch, len(learn)))]
            h, slope = _rectified(v)
            codes = np.clip(floor + h, -self._limit, self._limit).astype(np.float32)
            x = patches.inputs[batch]
            y, active = self._activate(self._output(x, codes))
            error = (y - wanted[batch]) * active * np.float32(2 / (len(batch) * power))
            back = np.einsum("bkc,bc->kc", x, error) if self._depthwise else x.T @ error
            gradient = back * self._scale * slope
            progress = step / config.steps
            if progress > _WARMUP:
                beta = _BETA_END + (_BETA_START - _BETA_END) * 0.5 * (
                    1 + np.cos(np.pi * (progress - _WARMUP) / (1 - _WARMUP))
                )
                away = np.abs(2 * h - 1)
                pull = -2 * beta * np.sign(2 * h - 1) * away ** (beta - 1)
                gradient = gradient + _LAMBDA / len(floor) * pull * slope
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * np.square(gradient)
            rate = config.learning_rate * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
            v = (v - rate * first / (np.sqrt(second) + 1e-8)).astype(np.float32)
        hard = floor + (_rectified(v)[0] >= 0.5)
        return np.asarray(np.clip(hard, -self._limit, self._limit), np.float32)


def _rectified(v: Floats) -> tuple[Floats, Floats]:
    """The stretched sigmoid clipped to 0..1, and its slope."""
    sigmoid = 1 / (1 + np.exp(-v))
    stretched = sigmoid * (_ZETA - _GAMMA) + _GAMMA
    h = np.clip(stretched, 0, 1).astype(np.float32)
    inside = (stretched > 0) & (stretched < 1)
    return h, (inside * sigmoid * (1 - sigmoid) * (_ZETA - _GAMMA)).astype(np.float32)
