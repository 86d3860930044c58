"""Labels and numbers judged in their own terms, and answers of foreign files brought to the same form."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.data.dataset import Split
from mnist_export.models.thresholds import logit, parse_threshold
from mnist_export.parity.answers import comparable, require_outputs
from mnist_export.parity.comparison import Thresholds
from mnist_export.parity.heads import Head, judge, own_figures

RNG = np.random.default_rng(0)


def _split(targets=None, labels=None, count=40):
    return Split(
        images=np.zeros((count, 2, 2, 1), np.uint8),
        labels=np.zeros(count, np.int64) if labels is None else labels,
        targets=targets,
    )


def _runner(outputs, name="litert", metadata=None):
    return SimpleNamespace(num_classes=outputs, name=name, metadata=metadata, label=name)


def test_labels_are_judged_each_at_its_own_threshold():
    logits = RNG.normal(size=(40, 2)) * 3
    chances = 1 / (1 + np.exp(-logits))
    head = Head(kind="labels", threshold=(0.2, 0.9))
    targets = (chances > [0.2, 0.9]).astype(np.float64)
    found = judge(head, logits, logits, _split(targets), Thresholds())
    assert found.verdict is Verdict.PASS
    assert found.target_labels.exact_match == 1
    half = judge(Head(kind="labels"), logits, logits, _split(targets), Thresholds())
    assert half.target_labels.exact_match < 1
    moved = logits - logit([0.2, 0.9])
    assert judge(head, logits, moved, _split(targets), Thresholds()).verdict is Verdict.FAIL
    with pytest.raises(InputError, match="one for each of 2"):
        judge(Head(kind="labels", threshold=(0.1, 0.2, 0.3)), logits, logits, _split(targets), Thresholds())


def test_an_original_no_better_than_a_constant_is_said():
    answers = RNG.normal(size=(40, 1))
    assert own_figures(Head(kind="values"), "net", answers, _split(answers.astype(float))).warning == ""
    assert "no better" in own_figures(Head(kind="values"), "net", -answers, _split(answers)).warning


@pytest.mark.parametrize("value", ["0", "1", "a", "", "0.5,", -1, [], "nan"])
def test_a_threshold_is_a_probability(value):
    with pytest.raises(InputError, match="between 0 and 1"):
        parse_threshold(value)
    assert parse_threshold("0.25,0.5") == (0.25, 0.5)
    assert parse_threshold(0.3) == (0.3,)


def test_a_single_sigmoid_of_a_foreign_file_is_two_classes():
    z = RNG.normal(size=(40, 1)).astype(np.float32)
    ours = np.concatenate([np.full_like(z, logit(0.3)), z], axis=1)
    theirs = (1 / (1 + np.exp(-z))).astype(np.float32)
    keras, foreign = _runner(2, "keras"), _runner(1)
    require_outputs(Head(), keras, foreign)
    _, found = comparable(Head(), [keras, foreign], [ours, theirs])
    np.testing.assert_allclose(found, ours, atol=1e-5)
    both = comparable(Head(threshold=(0.3,)), [foreign, foreign], [theirs, z])
    np.testing.assert_allclose(both[0], ours, atol=1e-5)
    np.testing.assert_allclose(both[1], ours, atol=1e-5)
    with pytest.raises(InputError, match="not versions of one model"):
        require_outputs(Head(), _runner(3), foreign)


def test_sigmoids_of_a_foreign_file_become_logits_and_ours_stay():
    z = RNG.uniform(0.1, 0.9, size=(40, 3)).astype(np.float32)
    head = Head(kind="labels")
    ours, theirs = comparable(head, [_runner(3, "keras"), _runner(3)], [z, 1 / (1 + np.exp(-z))])
    assert ours is z
    np.testing.assert_allclose(theirs, z, atol=1e-5)
