"""Decides between activation scales by what they do to the answers on validation images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Graph
from mnist_export.quantize.exact.advance import run_network
from mnist_export.quantize.exact.build import build
from mnist_export.quantize.exact.observe import Observed
from mnist_export.quantize.exact.prepare import Prepared
from mnist_export.quantize.exact.scales import ScalePlan
from mnist_export.quantize.network.scheme import SchemeConfig
from mnist_export.quantize.ranges.calibration import run_activations

if TYPE_CHECKING:
    from mnist_export.data.dataset import Split

MAX_IMAGES: Final = 2000
MAX_TRIES: Final = 4
MARGIN: Final = 2
CLOSE: Final = 2.0
"""A scale is tried where its mean square error is at most this many times the chosen one's."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """How good a network's answers are: how many are right, and how near its logits are to the float ones.

    Attributes:
        correct: validation images with the right label.
        error: mean square difference to the float logits, real units.
    """

    correct: int
    error: float

    def beats(self, other: Score) -> bool:
        """Whether this is the better one; a single image more, with logits further off, is chance."""
        nearer = self.correct >= other.correct and self.error < other.error
        return nearer or self.correct >= other.correct + MARGIN


def search_scales(
    prepared: Prepared,
    plan: ScalePlan,
    observed: Observed,
    config: SchemeConfig,
    validation: Split,
    *,
    seed: int = 0,
    notify: Callable[[str], None] | None = None,
) -> Graph:
    """Build the network, then try the activation scales whose error was close, one group at a time.

    Args:
        prepared: the float graph.
        plan: scales by mean square error.
        observed: the float network's activations on calibration images.
        config: the weights' settings.
        validation: judged on its first 2,000 images; never test images.
        seed: see `build`.
        notify: told what was tried.

    Returns:
        The best exact graph.
    """
    images, labels = validation.images[:MAX_IMAGES], validation.labels[:MAX_IMAGES]
    target = _float_logits(prepared, images)
    best = build(prepared, plan, observed, config, seed)
    if validation.targets is not None:  # no classes: decided by the distance alone
        labels = np.full_like(labels, -1)
    score = _score(best, images, labels, target)
    for group, exponent in _close_calls(plan):
        candidate = build(prepared, plan.with_exponent(group, exponent), observed, config, seed)
        found = _score(candidate, images, labels, target)
        if found.beats(score):
            if notify is not None:
                name = prepared.graph.tensors[group].name
                notify(
                    f"exact int8: scale 2^{exponent} for '{name}' instead of 2^{plan.exponents[group]}: "
                    + (
                        f"{found.correct} of {len(images)} validation images right, before {score.correct}"
                        if validation.targets is None
                        else f"mean square error {found.error:.3g}, before {score.error:.3g}"
                    )
                )
            best, score, plan = candidate, found, plan.with_exponent(group, exponent)
    return best


def _close_calls(plan: ScalePlan) -> Iterator[tuple[int, int]]:
    """Groups and their second-best exponents, the closest calls first."""
    ranked: list[tuple[float, int, int]] = []
    for group, errors in plan.errors.items():
        chosen = plan.exponents[group]
        ranked += [
            (error / (errors[chosen] + 1e-30), group, exponent)
            for exponent, error in errors.items()
            if exponent != chosen
        ]
    for ratio, group, exponent in sorted(ranked)[:MAX_TRIES]:
        if ratio <= CLOSE:
            yield group, exponent


def _float_logits(prepared: Prepared, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    (output,) = prepared.graph.outputs
    runs = run_activations(prepared.graph, images, input_range=prepared.input_range)
    return np.concatenate([values[output].copy() for values in runs])


def _score(
    graph: Graph,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    target: npt.NDArray[np.float32],
) -> Score:
    codes = run_network(graph, images)
    quant = graph.tensors[graph.outputs[0]].quant
    real = quant.dequantize(codes) if quant is not None else codes.astype(np.float32)
    return Score(
        correct=int((codes.argmax(axis=1) == labels).sum()),
        error=float(np.mean((real - target.reshape(real.shape)) ** 2)),
    )
