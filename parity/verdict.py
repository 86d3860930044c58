"""The verdict, in one place: what was found, held against what was asked for, and why.

A file is judged by its labels, its sets of labels, its values or its signal; equality of integers and a
certificate are checks on top. A run passes where every file does, on every device too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from mnist_export.core.kinds import Verdict
from mnist_export.core.record import Record
from mnist_export.parity.label_sets import SetAgreement
from mnist_export.parity.limits import Thresholds
from mnist_export.parity.logits import LogitErrors

SIGNIFICANCE: Final = 0.05
"""Level of McNemar's test at which a difference is called larger than chance."""
MIN_SQNR_DB: Final = 20.0
"""Signal over error: 20 dB is an error of 10 % of the signal's RMS, about what int8 loses in a few layers."""


@dataclass(frozen=True, kw_only=True)
class Check(Record):
    """One named check of an artifact, a test case in JUnit's terms.

    Attributes:
        name: such as ``"top-1 drop"``.
        verdict: its outcome.
        why: what was found, against what was expected.
    """

    name: str
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What becomes of one file.

    Attributes:
        verdict: fail where a check fails.
        why: one sentence.
        checks: by which it was judged.
    """

    verdict: Verdict
    why: str
    checks: tuple[Check, ...] = ()

    def joined(self, *checks: Check) -> Judgement:
        """The judgement with more checks; the first that fails is why, where nothing had failed before."""
        failed = next((check for check in checks if check.verdict is Verdict.FAIL), None)
        more = replace(self, checks=(*self.checks, *checks))
        if failed is None or self.verdict is Verdict.FAIL:
            return more
        return replace(more, verdict=Verdict.FAIL, why=f"{failed.name}: {failed.why}")


def outcome(passed: bool) -> Verdict:
    """Pass or fail."""
    return Verdict.PASS if passed else Verdict.FAIL


def run_verdict(verdicts: Iterable[str]) -> Verdict:
    """The verdict of a run: fail where one of its files fails, here or on a device, or where there is none.

    Args:
        verdicts: of files, and of rows on devices; what was only compiled or not run fails nothing.
    """
    found = [str(verdict) for verdict in verdicts]
    return outcome(bool(found) and Verdict.FAIL.value not in found)


def judge_labels(found: Mapping[str, Any], limits: Thresholds, errors: LogitErrors) -> Judgement:
    """Judge a file by the labels that it gives.

    Args:
        found: fields of `parity.comparison.Parity` by name, from ``images`` to ``mcnemar_p``.
        limits: what they are measured against.
        errors: of the logits.
    """
    drop, agreement, p = found["drop_pp"], found["agreement"], found["mcnemar_p"]
    lost, won, images = found["only_reference"], found["only_candidate"], found["images"]
    drops, parts = limits.drops(drop, images), limits.parts(agreement, images)
    if errors.max_abs_error == 0:
        return Judgement(
            verdict=outcome(not drops and not parts), why=f"All {images:,} images: equal logits."
        )
    direction = "lower" if drop > 0 else "higher" if drop < 0 else "the same"
    amount = f" by {abs(drop):.2f} pp" if drop else ""
    chance = "more than chance" if p < SIGNIFICANCE else "no more than chance"
    text = (
        f"top-1 is {direction}{amount} ({found['top1']:.2%} against {found['reference_top1']:.2%}; "
        f"{lost} lost, {won} won: {chance}, McNemar p = {p:.2g}), and {agreement:.2%} of the labels agree"
    )
    reasons = []
    if drops:
        reasons.append(f"the drop is over the {limits.max_drop_pp:g} pp allowed")
    if parts:
        reasons.append(f"agreement is under the {limits.min_agreement:.2%} asked for")
    if reasons:
        return Judgement(verdict=Verdict.FAIL, why=f"{' and '.join(reasons).capitalize()}: {text}.")
    return Judgement(verdict=Verdict.PASS, why=f"Within limits: {text}.")


def label_checks(
    drop_pp: float, agreement: float, images: int, limits: Thresholds, *, diagnosis: str = ""
) -> tuple[Check, ...]:
    """One check for each limit of labels, each with what was found.

    Args:
        drop_pp: loss of top-1, percentage points.
        agreement: share of equal labels, a fraction of 1.
        images: how many were compared.
        limits: what they are measured against.
        diagnosis: what the damage looks like, added to a check that fails.
    """
    drops, parts = limits.drops(drop_pp, images), limits.parts(agreement, images)
    more = f" ({diagnosis})" if diagnosis else ""
    return (
        Check(
            name="top-1 drop",
            verdict=outcome(not drops),
            why=f"drop {drop_pp:+.2f} pp, allowed {limits.max_drop_pp:g} pp{more if drops else ''}",
        ),
        Check(
            name="agreement",
            verdict=outcome(not parts),
            why=f"{agreement:.2%} of labels agree, asked for {limits.min_agreement:.2%}"
            f"{more if parts else ''}",
        ),
        Check(name="finite outputs", verdict=Verdict.PASS, why=f"{images:,} images"),
    )


def judge_sets(
    same: SetAgreement, right: SetAgreement, before: SetAgreement, images: int, limits: Thresholds
) -> Judgement:
    """Judge a file that gives several labels an image.

    Args:
        same: its agreement with the original.
        right: with the data.
        before: the original's with the data.
        images: how many were compared.
        limits: the drop is of the exact match, the agreement of all of an image's labels.
    """
    drop = 100.0 * (before.equal - right.equal) / images
    bad = limits.drops(drop, images), limits.parts(same.exact_match, images)
    texts = (
        f"{right.exact_match:.2%} of the images have every label right, against {before.exact_match:.2%} of "
        f"the original: drop {drop:+.2f} pp, allowed {limits.max_drop_pp:g} pp",
        f"{same.exact_match:.2%} of the images get the original's labels, asked for "
        f"{limits.min_agreement:.2%}; {min(same.per_label):.2%} at least agree on any one label",
    )
    checks = tuple(
        Check(name=name, verdict=outcome(not fails), why=text)
        for name, fails, text in zip(("exact match", "same labels"), bad, texts, strict=True)
    )
    failed = [check.why for check in checks if check.verdict is Verdict.FAIL]
    why = ". ".join(failed or [texts[1], texts[0]]) + "."
    return Judgement(verdict=outcome(not failed), why=why, checks=checks)


def judge_values(name: str, passed: bool, why: str) -> Judgement:
    """Judge a file whose outputs are numbers.

    Args:
        name: of the limit, such as ``"RMSE"``.
        passed: whether the values are within it, from `parity.values.ValueLimit`.
        why: what was found.
    """
    check = Check(name=name, verdict=outcome(passed), why=why)
    return Judgement(verdict=check.verdict, why=f"{why[:1].upper()}{why[1:]}.", checks=(check,))


def judge_signal(errors: LogitErrors | None) -> Judgement:
    """Judge a sub-model, which has no classes, by the signal over the error of its values."""
    sqnr = errors.sqnr_db if errors else None
    found = "the values are equal" if sqnr is None else f"SQNR {sqnr:.1f} dB"
    why = f"{found}, asked for {MIN_SQNR_DB:g} dB"
    check = Check(name="SQNR", verdict=outcome(sqnr is None or sqnr >= MIN_SQNR_DB), why=why)
    return Judgement(verdict=check.verdict, why=why, checks=(check,))


def pixel_rule_check(conflict: str) -> tuple[Check, ...]:
    """The check that a file and the run mean the same pixels; none where nothing contradicts.

    Args:
        conflict: what contradicts what; empty where nothing does.
    """
    return (Check(name="pixel rule", verdict=Verdict.FAIL, why=conflict),) if conflict else ()


def equality_check(verdict: Verdict, why: str, *, alone: str = "", missing: Iterable[str] = ()) -> Check:
    """Whether every implementation computes the same integers.

    Args:
        verdict: of the comparison.
        why: what was found.
        alone: the one implementation that was there, where there was no other; that is no failure.
        missing: what could not be run, each in a sentence.
    """
    text = f"only {alone} was there to run" if alone else why
    return Check(
        name="identical integers",
        verdict=Verdict.PASS if alone else verdict,
        why="; ".join([text, *missing]),
    )


def certificate_check(verdict: Verdict, why: str) -> Check:
    """Whether a file's certificate of exactness holds."""
    return Check(name="certificate", verdict=verdict, why=why)
