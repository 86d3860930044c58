"""Candidates of one step beside each other."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mnist_export.parity.pairs import Pair, pairs_of


def runner(label, step):
    return SimpleNamespace(label=label, output_step=step)


@pytest.fixture
def logits():
    codes = np.random.default_rng(0).integers(-100, 100, (50, 10))
    codes[:, 3] = 90  # the answer of nearly all
    return (codes * np.float32(0.125)).astype(np.float32)


def test_equal_logits_differ_nowhere(logits):
    found = pairs_of([runner("a", 0.125), runner("b", 0.125)], [logits, logits.copy()])

    assert found == (Pair(first="a", second="b", logits=500, differing=0, max_steps=0, labels=0),)


def test_one_step_and_one_label_are_counted(logits):
    other = logits.copy()
    other[0, 0] += 0.25
    other[1] = 0
    other[1, 7] = 5
    (found,) = pairs_of([runner("a", 0.125), runner("b", 0.125)], [logits, other])

    assert found.differing == 1 + np.count_nonzero(logits[1] != other[1])
    assert found.max_steps == round(float(np.abs(logits - other).max()) / 0.125)
    assert found.labels == int(logits[1].argmax() != 7)


def test_only_candidates_of_one_step_are_compared_with_the_first_of_them(logits):
    runners = [runner(n, s) for n, s in (("f", None), ("a", 0.125), ("x", 0.5), ("b", 0.125), ("c", 0.125))]
    found = pairs_of(runners, [logits] * 5)

    assert [(pair.first, pair.second) for pair in found] == [("a", "b"), ("a", "c")]
