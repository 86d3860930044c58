"""Which layer of one model is which of another: by order, shape and likeness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mnist_export.parity.layers.activations import Activation
from mnist_export.parity.layers.layouts import Values, rewritten_layouts, same_layouts

_SHAPE_SCORE: Final = 0.5  # aligns layers by shape where damage has left no likeness
_REWRITTEN_LIKENESS: Final = 0.8


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """Two layers' values in one layout, and how well they fit.

    Attributes:
        score: likeness (cosine), and half a point for an equal shape.
        reference: float64 (n, ...).
        candidate: of the same shape.
    """

    score: float
    reference: Values
    candidate: Values


def align(reference: Sequence[Activation], candidate: Sequence[Activation]) -> list[tuple[int, int, Fit]]:
    """Match layers in order with the largest sum of scores (as in global sequence alignment).

    Args:
        reference: layers in execution order.
        candidate: likewise, of the same images.

    Returns:
        Places in both lists, and how they fit.
    """
    rows, columns = len(reference), len(candidate)
    scores = np.zeros((rows + 1, columns + 1))
    fits: dict[tuple[int, int], Fit] = {}
    for i in range(rows):
        for j in range(columns):
            fit = _fit(reference[i].values.astype(np.float64), candidate[j].values.astype(np.float64))
            best = max(scores[i, j + 1], scores[i + 1, j])
            if fit is not None:
                fits[i, j] = fit
                best = max(best, scores[i, j] + fit.score)
            scores[i + 1, j + 1] = best
    pairs: list[tuple[int, int, Fit]] = []
    i, j = rows, columns
    while i and j:
        fit = fits.get((i - 1, j - 1))
        if fit is not None and scores[i, j] == scores[i - 1, j - 1] + fit.score:
            pairs.append((i - 1, j - 1, fit))
            i, j = i - 1, j - 1
        elif scores[i, j] == scores[i - 1, j]:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _fit(reference: Values, candidate: Values) -> Fit | None:
    """Both in one layout, and how alike they are; None where nothing fits."""
    scored = [
        Fit(score=_SHAPE_SCORE + _cosine(ours, theirs), reference=ours, candidate=theirs)
        for ours, theirs in same_layouts(reference, candidate)
    ]
    if not scored:
        found = (
            (_cosine(ours, theirs), ours, theirs) for ours, theirs in rewritten_layouts(reference, candidate)
        )
        # a map in blocks fits many shapes: only a likeness that chance does not give counts
        scored = [
            Fit(score=likeness, reference=ours, candidate=theirs)
            for likeness, ours, theirs in found
            if likeness >= _REWRITTEN_LIKENESS
        ]
    return max(scored, key=lambda fit: fit.score, default=None)


def _cosine(a: Values, b: Values) -> float:
    norm = math.sqrt(float(np.sum(a * a)) * float(np.sum(b * b)))
    return max(0.0, float(np.sum(a * b)) / norm) if norm > 0 else 0.0
