from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_export.core.kinds import Verdict
from mnist_export.parity.pairs import Pair
from mnist_export.report import wording
from mnist_export.report.schema import Report


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (None, "not measured"),
        (1.0, "100.00 %"),
        (0.0, "0.00 %"),
        (0.9921, "99.21 %"),
        (0.99999, "99.999 %"),
        (0.999999, "99.9999 %"),
        (0.9999999999, "99.9999 %"),
    ],
)
def test_a_fraction_reads_as_percent_and_less_than_all_never_as_all(
    fraction: float | None, text: str
) -> None:
    assert wording.percent(fraction) == text


@given(st.floats(0, 1, exclude_max=True))
def test_only_one_reads_as_a_hundred_percent(fraction: float) -> None:
    assert not wording.percent(fraction).startswith("100")


@pytest.mark.parametrize(
    ("drop", "text"), [(0.021, "+0.02 pp"), (-0.4, "-0.40 pp"), (-0.001, "0.00 pp"), (0.0, "0.00 pp")]
)
def test_a_drop_has_a_sign_unless_it_is_nothing(drop: float, text: str) -> None:
    assert wording.points(drop) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0.41, "2.44x faster"),
        (1.37, "1.37x slower"),
        (1.001, "equal"),
        (0.05, "20x faster"),
        (0.0, "faster"),
        (None, "not measured"),
    ],
)
def test_a_ratio_of_times_reads_as_faster_or_slower(ratio: float | None, text: str) -> None:
    assert wording.speed(ratio) == text


@pytest.mark.parametrize(
    ("latency_us", "text"),
    [(3.14159, "3.14 us"), (48.26, "48.3 us"), (999.4, "999 us"), (999.6, "1.00 ms"), (2.5e6, "2.50 s")],
)
def test_a_latency_has_three_digits_and_its_unit(latency_us: float, text: str) -> None:
    assert wording.duration(latency_us) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (70_544, "70.5 kB"), (3e9, "3.00 GB")],
)
def test_a_size_is_in_powers_of_a_thousand(size_bytes: int, text: str) -> None:
    assert wording.size(size_bytes) == text


def test_the_headline_of_a_pass_gives_the_worst_of_the_files(report: Report) -> None:
    assert wording.headline(report) == (
        "All 3 files pass: they give the original's answer on at least 99.95 % of 10,000 images and "
        "lose at most 0.02 pp of top-1."
    )


def test_a_pass_says_what_files_that_quantize_alike_have_in_common(report: Report) -> None:
    names = [artifact.name for artifact in report.artifacts]
    equal = Pair(first=names[0], second=names[1], logits=1000, differing=0, max_steps=0, labels=0)
    apart = dataclasses.replace(equal, differing=3, max_steps=1)

    two = wording.headline(dataclasses.replace(report, pairs=(equal,)))
    assert two.endswith(f"{' and '.join(sorted(names[:2]))}: their logits are equal, bit for bit.")
    whole = dataclasses.replace(report, pairs=(equal, dataclasses.replace(equal, second=names[2])))
    assert wording.headline(whole).endswith("pp of top-1. Their logits are equal, bit for bit.")
    differ = f"3 of 1,000 logits differ between {names[0]} and {names[1]}, by 1 step at most."
    assert wording.headline(dataclasses.replace(report, pairs=(apart,))).endswith(differ)
    assert Report.from_json(dataclasses.replace(report, pairs=(apart,)).to_json()).pairs == (apart,)


def test_the_headline_of_a_failure_names_the_file_and_the_reason(change: Callable[..., Report]) -> None:
    failing = change(
        artifact={"verdict": Verdict.FAIL, "why": "Top-1 drops by 3.1 pp", "checks": ()}, verdict=Verdict.FAIL
    )
    assert wording.headline(failing) == "lenet5-mnist.int8.tflite does not pass. Top-1 drops by 3.1 pp."


def test_the_headline_does_not_hide_a_run_that_fails_by_itself(change: Callable[..., Report]) -> None:
    assert "fails" in wording.headline(change(verdict=Verdict.FAIL))
    assert "Nothing was judged" in wording.headline(change(verdict=Verdict.FAIL, artifacts=()))


def test_a_finding_says_whether_the_difference_is_larger_than_chance(report: Report) -> None:
    artifact = report.artifacts[0]
    assert "not larger than chance explains (p = 0.62)" in wording.finding(artifact, 10_000)
    worse = dataclasses.replace(artifact, mcnemar_p=1e-9)
    assert ", larger than chance explains (p < 0.0001)" in wording.finding(worse, 10_000)


def test_a_finding_on_equal_answers_says_all(report: Report) -> None:
    text = wording.finding(report.artifacts[2], 10_000)
    assert "the original's answer on all 10,000 images; top-1 99.28 %, the same." in text


def test_one_measured_file_gives_a_sentence_about_it(change: Callable[..., Report], report: Report) -> None:
    assert wording.headline(change(artifacts=report.artifacts[:1])).startswith(
        "lenet5-mnist.int8.tflite gives"
    )


def test_the_headline_claims_nothing_for_what_was_not_compared(
    change: Callable[..., Report], report: Report
) -> None:
    unknown: dict[str, Any] = {"agreement": None, "agreement_interval": None, "flips": None, "flip_list": ()}
    assert wording.headline(change(artifact=unknown)).endswith("1 of them was not compared with it.")
    nothing = tuple(dataclasses.replace(a, drop_pp=None, **unknown) for a in report.artifacts)
    assert "agreement with the original was not measured" in wording.headline(change(artifacts=nothing))
