"""What `compare` counts, what it refuses, and what its verdict says."""

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.parity.comparison import Thresholds, compare
from mnist_export.parity.logits import softmax
from mnist_export.parity.results import to_json


def answers(n=200, classes=10, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    logits = rng.normal(size=(n, classes)).astype(np.float32)
    logits[np.arange(n), labels] += 8
    return logits, labels


def test_a_model_against_itself_passes_without_error():
    logits, labels = answers()
    parity = compare(logits, logits, labels)
    assert parity.verdict is Verdict.PASS
    assert (parity.drop_pp, parity.agreement, parity.mcnemar_p, parity.flips) == (0, 1, 1, ())
    assert parity.logits.max_abs_error == 0
    assert parity.logits.sqnr_db is None
    assert "equal logits" in parity.why


def test_counts_of_a_small_case_by_hand():
    labels = np.array([0, 1, 2, 0])
    reference = np.eye(3, dtype=np.float32)[[0, 1, 2, 1]] * 5  # three right
    candidate = np.eye(3, dtype=np.float32)[[0, 2, 2, 0]] * 5  # loses image 1, wins image 3
    parity = compare(reference, candidate, labels)
    assert (parity.reference_top1, parity.top1, parity.drop_pp) == (0.75, 0.75, 0)
    assert (parity.only_reference, parity.only_candidate) == (1, 1)
    assert parity.agreement == 0.5
    assert {(f.index, f.label, f.reference, f.candidate, f.margin) for f in parity.flips} == {
        (1, 1, 1, 2, 5.0),
        (3, 0, 1, 0, 5.0),
    }
    assert parity.reference_confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert parity.candidate_confusion.tolist() == [[2, 0, 0], [0, 0, 1], [0, 0, 1]]
    assert parity.reference_per_class.tolist() == [0.5, 1.0, 1.0]
    assert parity.verdict is Verdict.FAIL
    assert "Agreement is under" in parity.why


def test_drop_is_reference_minus_candidate_in_percentage_points():
    logits, labels = answers(1000)
    worse = logits.copy()
    wrong = np.arange(7)
    worse[wrong, (labels[wrong] + 1) % 10] += 20
    parity = compare(logits, worse, labels)
    assert parity.drop_pp == pytest.approx(0.7)
    assert parity.significant
    assert "more than chance" in parity.why.replace("no more", "")
    assert parity.verdict is Verdict.FAIL


def test_a_drop_within_limits_and_chance_says_so():
    logits, labels = answers(1000)
    worse = logits.copy()
    worse[0, (labels[0] + 1) % 10] += 20
    parity = compare(logits, worse, labels)
    assert parity.verdict is Verdict.PASS
    assert not parity.significant
    assert "no more than chance" in parity.why


def test_thresholds_hold_exactly_at_their_edge():
    logits, labels = answers(1000)
    worse = logits.copy()
    worse[:5, :] = np.roll(worse[:5, :], 1, axis=1)  # 5 of 1000: exactly 0.5 pp
    assert compare(logits, worse, labels).drop_pp == pytest.approx(0.5)
    assert compare(logits, worse, labels).verdict is Verdict.PASS
    assert compare(logits, worse, labels, thresholds=Thresholds(max_drop_pp=0.4)).verdict is Verdict.FAIL
    exact = Thresholds(max_drop_pp=10, min_agreement=0.995)
    assert compare(logits, worse, labels, thresholds=exact).verdict is Verdict.PASS


def test_errors_are_given_in_steps_of_a_quantized_candidate():
    logits, labels = answers()
    step = 0.125
    rounded = (np.rint(logits / step) * step).astype(np.float32)
    errors = compare(logits, rounded, labels, candidate_step=step).logits
    assert errors.max_error_steps <= 0.5 + 1e-3  # rounding to nearest: half a step
    # uniform within half a step on both sides: step / sqrt(12)
    assert errors.rmse == pytest.approx(step / np.sqrt(12), rel=0.05)
    signal, noise = float(np.mean(logits.astype(float) ** 2)), errors.rmse**2
    assert errors.sqnr_db == pytest.approx(10 * np.log10(signal / noise), abs=1e-6)


def test_softmax_candidates_are_compared_as_probabilities():
    logits, labels = answers()
    soft = softmax(logits.astype(np.float64)).astype(np.float32)
    parity = compare(logits, soft, labels)
    assert parity.logits.domain == "probabilities"
    assert parity.logits.max_abs_error < 1e-6
    assert "candidate ends in softmax" in parity.notes[0]
    assert parity.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda r, c, y: (r[:0], c[:0], y[:0]), "at least one image"),
        (lambda r, c, y: (r, c[:-1], y), "one shape"),
        (lambda r, c, y: (r, c[:, :9], y), "one shape"),
        (lambda r, c, y: (r, c, y[:-1]), "integer labels"),
        (lambda r, c, y: (r, c, y.astype(float)), "integer labels"),
        (lambda r, c, y: (r, c, y + 1), "labels from 0 to 9"),
        (lambda r, c, y: (r, np.where(c == c.max(), np.nan, c), y), "candidate's answers .* not finite"),
        (lambda r, c, y: (np.where(r == r.max(), np.inf, r), c, y), "reference's answers .* not finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(damage, text):
    logits, labels = answers()
    with pytest.raises(InputError, match=text):
        compare(*damage(logits, logits.copy(), labels))


@pytest.mark.parametrize(
    "values",
    [
        {"max_drop_pp": float("nan")},
        {"max_drop_pp": 101},
        {"min_agreement": 1.5},
        {"min_agreement": float("nan")},
    ],
)
def test_thresholds_that_mean_nothing_are_refused(values):
    with pytest.raises(InputError):
        Thresholds(**values)


def test_the_json_form_holds_no_nan():
    logits, labels = answers(50)
    labels[labels == 3] = 4
    value = to_json(compare(logits, logits, labels))
    assert value["reference_per_class"][3] is None
    assert value["verdict"] == "pass"


def test_noise_of_quantization_is_rarely_called_a_difference():
    rng = np.random.default_rng(5)
    alarms = 0
    for seed in range(60):
        logits, labels = answers(2000, seed=seed)
        logits -= 6 * np.eye(10, dtype=np.float32)[labels]  # in doubt, so that noise flips labels
        noisy = logits + rng.normal(scale=0.05, size=logits.shape).astype(np.float32)
        alarms += compare(logits, noisy, labels).significant
    assert alarms <= 6  # 60 tests at level 0.05 give 3 on average; more than 6 has a chance of 3 %
