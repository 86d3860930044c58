"""The verdict of a run: what was found, held against what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from mnist_export.core.kinds import Verdict
from mnist_export.core.record import Record
from mnist_export.parity.comparison import Parity, Thresholds


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


def checks_of(parity: Parity, limits: Thresholds, *, diagnosis: str = "") -> tuple[Check, ...]:
    """One check for each limit, each with what was found.

    Args:
        parity: the comparison.
        limits: what it is measured against.
        diagnosis: what the damage looks like, added to a check that fails.
    """
    drops = limits.drops(parity.drop_pp, parity.images)
    parts = limits.parts(parity.agreement, parity.images)
    more = f" ({diagnosis})" if diagnosis else ""
    return (
        Check(
            name="top-1 drop",
            verdict=Verdict.FAIL if drops else Verdict.PASS,
            why=f"drop {parity.drop_pp:+.2f} pp, allowed {limits.max_drop_pp:g} pp{more if drops else ''}",
        ),
        Check(
            name="agreement",
            verdict=Verdict.FAIL if parts else Verdict.PASS,
            why=f"{parity.agreement:.2%} of labels agree, asked for {limits.min_agreement:.2%}"
            f"{more if parts else ''}",
        ),
        Check(name="finite outputs", verdict=Verdict.PASS, why=f"{parity.images:,} images"),
    )
