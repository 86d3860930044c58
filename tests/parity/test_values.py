"""Errors of values against hand-computed figures, and their limits."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.parity.label_sets import agreement, labels_on, most_frequent, wanted_sets
from mnist_export.parity.values import ValueLimit, distance


def test_the_figures_are_those_of_the_definitions():
    found = distance(np.array([[0.0], [2.0], [4.0]]), np.array([[1.0], [2.0], [2.0]]))
    assert found.mean_abs == pytest.approx(1.0)
    assert found.rmse == pytest.approx(np.sqrt(5 / 3))
    assert found.max_abs == 2.0
    assert found.r2 == pytest.approx(1 - 5 / 8)
    assert distance(np.ones((2, 1)), np.ones((2, 1))).r2 is None


def test_each_output_is_judged_against_its_own_spread():
    original = np.array([[0.0, 0.0], [1000.0, 1.0]])
    assert ValueLimit().judge(original, original + 0.02)[0]
    passed, why = ValueLimit().judge(original, original + np.array([0.0, 0.1]))
    assert not passed
    assert "output 1" in why
    assert ValueLimit().judge(np.ones((3, 1)), np.ones((3, 1)))[0]  # no spread, no error
    assert not ValueLimit().judge(np.ones((3, 1)), np.full((3, 1), 1.01))[0]


def test_a_limit_is_on_the_largest_error():
    assert ValueLimit(max_error=0.5).judge(np.zeros((2, 1)), np.array([[0.5], [0.0]]))[0]
    assert not ValueLimit(max_error=0.4).judge(np.zeros((2, 1)), np.array([[0.5], [0.0]]))[0]
    with pytest.raises(InputError, match="0 or more"):
        ValueLimit(max_error=float("nan"))


def test_sets_of_labels_agree_whole_and_label_by_label():
    sets = labels_on(np.array([[1.0, -1.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(sets, [[True, False], [False, True]])
    np.testing.assert_array_equal(wanted_sets(np.array([0, 1]), None, 2), sets)
    assert most_frequent(np.array([[True, False], [True, False], [False, True]])) == pytest.approx(2 / 3)
    found = agreement(sets, np.array([[True, True], [False, True]]))
    assert (found.equal, found.exact_match, found.per_label) == (1, 0.5, (1.0, 0.5))
    with pytest.raises(InputError, match=r"head=.values"):
        wanted_sets(np.zeros(1, np.int64), np.array([[0.5, 1.0]]), 2)


def test_the_wider_of_targets_and_outputs_is_taken_for_each_output():
    original = np.array([[0.0, 0.0], [0.1, 100.0]])
    targets = np.array([[0.0, 0.0], [10.0, 1.0]])
    passed, why = ValueLimit().judge(original, original + np.array([0.2, 0.0]), targets)
    assert passed
    assert "the targets" in why
    passed, why = ValueLimit().judge(original, original + np.array([0.0, 3.0]), targets)
    assert not passed
    assert "output 1" in why
    assert "outputs, allowed" in why
