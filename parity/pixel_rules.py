"""Pixel rules of files against that of their original: taken from the files, or held against them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mnist_export.core.kinds import Verdict
from mnist_export.core.pixel_rules import ChannelRule, PixelRule, same_rule
from mnist_export.parity.comparison import Parity
from mnist_export.runtime.runners.runner import Runner

_UNFIT: Final = 0.2  # a file that is right on so much more of the images was given the right pixels


def adopt_rule(reference: Runner, candidates: Sequence[Runner]) -> str:
    """Give runners for which no rule was stated the one that our own files compute.

    Args:
        reference: the original.
        candidates: files; where several compute different rules, none is taken.

    Returns:
        What was done, in a sentence; empty where nothing was.
    """
    found: list[tuple[ChannelRule, str]] = []
    for runner in candidates:
        rule = runner.metadata.preprocessing if runner.metadata is not None else None
        if rule is not None and all(not same_rule(rule, other) for other, _ in found):
            found.append((rule, runner.label))
    if len(found) != 1:
        return ""
    rule, label = found[0]
    open_to_it = [runner for runner in (reference, *candidates) if not runner.is_rule_stated]
    for runner in open_to_it:
        runner.input_range = rule
    if not open_to_it:
        return ""
    names = ", ".join(runner.label for runner in open_to_it)
    return f"{names}: pixels by the rule that {label} says it computes ({rule.parameters()})"


def rule_conflict(reference: Runner, candidate: Runner) -> str:
    """What is wrong with the rule that a file says it computes, given its original's; empty for nothing."""
    said = candidate.metadata.preprocessing if candidate.metadata is not None else None
    if said is None or same_rule(said, reference.pixel_rule):
        return ""
    return (
        f"The file says that it computes {said.sentence()}, and {reference.label} was given pixels by "
        f"{_text(reference.pixel_rule)}: one is wrong. Export the file again, or state the original's "
        f"rule, such as {said.parameters()}."
    )


def unfit(parity: Parity) -> str:
    """What to say of a file whose stated rule makes its original wrong; empty where it does not.

    Args:
        parity: against an original that was given pixels by `adopt_rule`.
    """
    if parity.verdict is Verdict.PASS or parity.top1 - parity.reference_top1 < _UNFIT:
        return ""
    return "looks like another pixel rule than the original's in what the file says of itself; state its own"


def _text(rule: PixelRule) -> str:
    return rule.sentence() if isinstance(rule, ChannelRule) else rule.parameters()
