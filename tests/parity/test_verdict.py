"""The verdict: each way to judge a file, checks on top, and what a run comes to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mnist_export.core.kinds import Verdict
from mnist_export.parity.comparison import Thresholds
from mnist_export.parity.label_sets import SetAgreement
from mnist_export.parity.logits import LogitErrors
from mnist_export.parity.on_devices import DeviceVerdict
from mnist_export.parity.verdict import (
    Check,
    Judgement,
    certificate_check,
    equality_check,
    judge_sets,
    judge_signal,
    judge_values,
    label_checks,
    run_verdict,
)

ROOT = Path(__file__).parents[2]
GOOD = Judgement(verdict=Verdict.PASS, why="Within limits.", checks=(Check(name="a", verdict=Verdict.PASS),))


@pytest.mark.parametrize(
    ("verdicts", "wanted"),
    [
        ([Verdict.PASS], "pass"),
        ([Verdict.PASS, Verdict.FAIL], "fail"),
        ([Verdict.PASS, DeviceVerdict.COMPILED, DeviceVerdict.NOT_RUN, DeviceVerdict.PASS], "pass"),
        ([Verdict.PASS, DeviceVerdict.FAIL], "fail"),
        ([], "fail"),
    ],
)
def test_a_run_fails_with_any_of_its_files_and_without_one(verdicts, wanted):
    assert run_verdict(verdicts) == wanted


def test_a_check_on_top_fails_a_file_and_is_why():
    more = GOOD.joined(Check(name="certificate", verdict=Verdict.FAIL, why="layer 'x' rounds"))
    assert (more.verdict, more.why) == ("fail", "certificate: layer 'x' rounds")
    assert [check.name for check in more.checks] == ["a", "certificate"]


def test_what_had_failed_before_stays_why():
    bad = Judgement(verdict=Verdict.FAIL, why="The drop is over 0.5 pp.")
    assert bad.joined(Check(name="b", verdict=Verdict.FAIL, why="too")).why == "The drop is over 0.5 pp."
    assert bad.joined(Check(name="b", verdict=Verdict.PASS)).verdict == "fail"
    assert GOOD.joined(Check(name="b", verdict=Verdict.PASS)).why == "Within limits."


def test_labels_are_checked_against_each_limit():
    drop, agreement, finite = label_checks(0.6, 0.995, 1000, Thresholds(), diagnosis="looks shifted")
    assert (drop.verdict, agreement.verdict, finite.verdict) == ("fail", "pass", "pass")
    assert drop.why == "drop +0.60 pp, allowed 0.5 pp (looks shifted)"
    assert agreement.why == "99.50% of labels agree, asked for 99.00%"


def test_a_limit_that_is_none_is_not_judged():
    assert not Thresholds(max_drop_pp=None, min_agreement=None).drops(100.0, 10)
    assert not Thresholds(max_drop_pp=None, min_agreement=None).parts(0.0, 10)


def test_sets_of_labels_fail_by_the_drop_or_by_agreement():
    right = SetAgreement(exact_match=0.9, per_label=(0.95, 0.9), equal=90)
    worse = SetAgreement(exact_match=0.8, per_label=(0.9, 0.8), equal=80)
    fine = judge_sets(
        SetAgreement(exact_match=1.0, per_label=(1.0, 1.0), equal=100), right, right, 100, Thresholds()
    )
    assert fine.verdict == "pass"
    bad = judge_sets(worse, worse, right, 100, Thresholds())
    assert bad.verdict == "fail"
    assert [check.verdict for check in bad.checks] == ["fail", "fail"]
    assert "drop +10.00 pp" in bad.why


def test_values_and_signals():
    assert judge_values("RMSE", False, "too far").why == "Too far."
    assert judge_values("RMSE", True, "near").checks[0].name == "RMSE"
    assert judge_signal(LogitErrors(sqnr_db=19.9)).verdict == "fail"
    assert judge_signal(LogitErrors(sqnr_db=20.0)).verdict == "pass"
    assert judge_signal(LogitErrors(max_abs_error=0.0)).why.startswith("the values are equal")


def test_equality_and_certificates_are_checks():
    missing = ["c99: no compiler"]
    assert equality_check(Verdict.FAIL, "c99 differs", missing=missing).verdict == "fail"
    alone = equality_check(Verdict.FAIL, "nothing to compare", alone="litert xnnpack", missing=missing)
    assert (alone.verdict, alone.why) == ("pass", "only litert xnnpack was there to run; c99: no compiler")
    assert certificate_check(Verdict.FAIL, "not exact").why == "not exact"


def test_verdicts_are_made_in_one_place():
    made = re.compile(r"Verdict\.(PASS|FAIL) if |else Verdict\.(PASS|FAIL)")
    # a certificate and an equality say themselves whether they hold; a benchmark compares two runs
    own = {
        "parity/certificate/certifying.py",
        "parity/certificate/equality.py",
        "report/benchmark_compare.py",
    }
    found = {
        str(path.relative_to(ROOT))
        for room in ("runtime", "parity", "report", "pipeline", "search", "cli", "api")
        for path in (ROOT / room).rglob("*.py")
        if made.search(path.read_text(encoding="utf-8"))
    }
    assert found - own == {"parity/verdict.py"}
