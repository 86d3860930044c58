"""Compares candidates with a reference over a whole test set, then times them in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.core.pixels import InputRange
from mnist_export.core.statistics import wilson_interval
from mnist_export.models.judging import CLASSES
from mnist_export.parity.answers import comparable, require_outputs
from mnist_export.parity.comparison import Parity, Thresholds, compare
from mnist_export.parity.diagnosis import diagnose
from mnist_export.parity.heads import ANYTHING, Head, HeadJudgement, judge, own_figures
from mnist_export.parity.pairs import pairs_of
from mnist_export.parity.pixel_rules import adopt_rule, rule_conflict, unfit
from mnist_export.parity.results import CandidateResult, CheckResult, ReferenceResult
from mnist_export.parity.verdict import run_verdict
from mnist_export.runtime.bench.isolated import measure_isolated
from mnist_export.runtime.environment import busy_note
from mnist_export.runtime.runners.golden import GoldenRunner
from mnist_export.runtime.runners.runner import Runner
from mnist_export.runtime.timing.figures import Ratio
from mnist_export.runtime.timing.latency import Effort, Interleaved, measure_interleaved

if TYPE_CHECKING:
    from mnist_export.data.dataset import Split

KEPT_SAMPLES: Final = 2000
_REFERENCE: Final = "reference"
_FLOAT: Final = "float "
TOGETHER: Final = "in one process"
APART: Final = "each in its own process"
_BY_PROCESSOR: Final = (
    "its time against the original's is of processor times: calls of over half a millisecond are interrupted "
    "by other programs, shorter ones are not"
)


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Times:
    """Latencies and ratios to the baseline, however they were measured."""

    found: Interleaved
    ratios: Mapping[str, Ratio]
    by_processor: tuple[str, ...] = ()


def check(
    reference: Runner,
    candidates: Sequence[Runner],
    split: Split,
    *,
    thresholds: Thresholds | None = None,
    head: Head | None = None,
    effort: Effort | None = None,
    timed: bool = True,
    pin: bool = False,
    isolate: bool = False,
    floats: Sequence[Runner] = (),
    notify: Callable[[str], None] = _silent,
) -> CheckResult:
    """Run everything over the images and judge each candidate.

    Args:
        reference: the original, or its recording.
        candidates: at least one.
        split: test images and labels.
        thresholds: what the verdicts are measured against.
        head: what the outputs are; None is classes.
        effort: how long to measure latency.
        timed: whether to measure latency at batch 1, all models in turns.
        pin: hold the process on as many processors as there are threads while timing.
        isolate: time each model in a process of its own, which opens its file anew.
        floats: float32 files of the same network, timed beside the others; a float32 candidate serves too.
        notify: told what is being done.

    Raises:
        InputError: no candidates, no images, other data than a recording's, answers that are not finite, a
            process of a model that died.
    """
    if not candidates:
        raise InputError("check: expected at least one candidate, found none.")
    if not len(split):
        raise InputError("check: expected at least one image, found none. Nothing compared is no pass.")
    limits, head = thresholds or Thresholds(), head or Head()
    if isinstance(reference, GoldenRunner):
        reference.golden.require(split, label=reference.label)
    for runner in candidates:
        require_outputs(head, reference, runner)
    if adopted := adopt_rule(reference, candidates):
        notify(adopted)
    seconds: dict[str, float] = {}
    speed: dict[str, float] = {}
    speeds: list[float] = []
    answers: list[npt.NDArray[np.float32]] = []
    for place, runner in enumerate([reference, *candidates]):
        notify(f"{runner.label}: {len(split):,} images on {runner.name} ({runner.device})")
        started = time.perf_counter()
        answers.append(runner.run(split.images))
        spent = time.perf_counter() - started
        seconds[f"answers {place} {runner.label}"] = spent
        speeds.append(len(split) / spent)
        speed[runner.label] = speeds[-1]
    answers = comparable(head, [reference, *candidates], answers)
    judged = [
        compared(
            head,
            answers[0],
            logits,
            split,
            thresholds=limits,
            candidate_step=runner.output_step,
            reference_step=reference.output_step,
        )
        for runner, logits in zip(candidates, answers[1:], strict=True)
    ]
    conflicts = [rule_conflict(reference, runner) for runner in candidates]
    diagnoses = [
        (adopted and unfit(parity)) or diagnose(runner, answers[0], logits, parity, split)
        if judgement is None
        else ""
        for runner, logits, (parity, judgement) in zip(candidates, answers[1:], judged, strict=True)
    ]
    judged = [
        (replace(parity, verdict=Verdict.FAIL, why=f"{conflict} {parity.why}") if conflict else parity, own)
        for (parity, own), conflict in zip(judged, conflicts, strict=True)
    ]
    started = time.perf_counter()
    runners = _timed(reference, candidates, floats) if timed else {}
    baselines = _float_baselines(candidates, floats)
    times = _measure(runners, split, effort=effort, pin=pin, isolate=isolate, notify=notify)
    seconds["latency"] = time.perf_counter() - started
    found = tuple(
        _candidate(
            runner,
            logits,
            parity,
            judgement,
            name=str(place),
            times=times,
            over_float=baselines.get(runner.name),
            speed=speeds[place + 1],
            diagnosis=diagnoses[place],
            conflict=conflicts[place],
        )
        for place, (runner, logits, (parity, judgement)) in enumerate(
            zip(candidates, answers[1:], judged, strict=True)
        )
    )
    return CheckResult(
        verdict=run_verdict(parity.verdict for parity, _ in judged),
        thresholds=limits,
        images=len(split),
        reference=_reference(reference, answers[0], split, times, head),
        candidates=found,
        images_per_second=speed,
        seconds=seconds,
        pairs=pairs_of(candidates, answers[1:]),
        timing="" if not timed else APART if isolate else TOGETHER,
        notes=tuple(filter(None, [adopted, busy_note() if timed else ""])),
        head=head,
    )


def compared(
    head: Head,
    reference: npt.NDArray[Any],
    candidate: npt.NDArray[Any],
    split: Split,
    *,
    thresholds: Thresholds,
    candidate_step: float | None = None,
    reference_step: float | None = None,
) -> tuple[Parity, HeadJudgement | None]:
    """Compare two sets of answers; labels and numbers are judged in their own terms.

    Args:
        head: what the outputs are.
        reference: see `comparison.compare`.
        candidate: see `comparison.compare`.
        split: the images' y.
        thresholds: what the verdict is measured against.
        candidate_step: see `comparison.compare`.
        reference_step: see `comparison.compare`.

    Returns:
        The comparison with its verdict, and for other outputs than classes what that rests on.
    """
    steps = {"candidate_step": candidate_step, "reference_step": reference_step}
    if head.kind == CLASSES:
        return compare(reference, candidate, split.labels, thresholds=thresholds, **steps), None
    largest = np.asarray(reference).argmax(axis=1).astype(np.int64)
    plain = compare(reference, candidate, largest, thresholds=ANYTHING, **steps)
    found = judge(head, reference, candidate, split, thresholds)
    return replace(plain, verdict=found.verdict, why=found.why, flips=()), found


def _timed(reference: Runner, candidates: Sequence[Runner], floats: Sequence[Runner]) -> dict[str, Runner]:
    """What is timed, by name; a recording is not."""
    runners: dict[str, Runner] = {str(place): runner for place, runner in enumerate(candidates)}
    runners |= {f"{_FLOAT}{place}": runner for place, runner in enumerate(floats)}
    return runners if isinstance(reference, GoldenRunner) else {_REFERENCE: reference, **runners}


def _float_baselines(candidates: Sequence[Runner], floats: Sequence[Runner]) -> dict[str, str]:
    """Runtime to the name of its float32 file among those that are timed."""
    found = {
        runner.name: str(place)
        for place, runner in reversed(list(enumerate(candidates)))
        if runner.source is not None and runner.source.precision == "float32"
    }
    return found | {runner.name: f"{_FLOAT}{place}" for place, runner in enumerate(floats)}


def _measure(
    runners: Mapping[str, Runner],
    split: Split,
    *,
    effort: Effort | None,
    pin: bool,
    isolate: bool,
    notify: Callable[[str], None],
) -> _Times | None:
    if not runners:
        return None
    notify(f"latency at batch 1: {len(runners)} models in turns{', ' + APART if isolate else ''}")
    if isolate:
        apart = measure_isolated(runners, split.images[:1], effort=effort, pin=pin)
        return _Times(found=apart.times, ratios=apart.ratios, by_processor=apart.by_processor)
    found = measure_interleaved(runners, split.images[:1], effort=effort, pin=pin)
    return _Times(found=found, ratios=found.ratios)


def _candidate(
    runner: Runner,
    logits: npt.NDArray[np.float32],
    parity: Parity,
    judgement: HeadJudgement | None,
    *,
    name: str,
    times: _Times | None,
    over_float: str | None,
    speed: float,
    diagnosis: str,
    conflict: str,
) -> CandidateResult:
    samples = times.found.samples_us[name] if times else None
    judged = times is not None and times.found.baseline == _REFERENCE
    if samples is not None and len(samples) > KEPT_SAMPLES:
        samples = np.random.default_rng(0).choice(samples, KEPT_SAMPLES, replace=False)
    return CandidateResult(
        label=runner.label,
        runtime=runner.name,
        device=runner.device,
        threads=runner.threads,
        file=runner.source,
        input_type=str(runner.input.dtype),
        input_shape=runner.input.shape,
        output_type=str(runner.output.dtype),
        pixel_rule=runner.metadata.pixel_rule if runner.metadata else "",
        logits=logits,
        parity=parity,
        latency_us=times.found.latencies[name] if times else None,
        vs_original=times.ratios.get(name) if times and judged else None,
        vs_float=times.found.ratio(name, over_float) if times and over_float not in (None, name) else None,
        samples_us=samples,
        batch=min(runner.preferred_batch, parity.images),
        images_per_second=speed,
        diagnosis=diagnosis,
        conflict=conflict,
        input_range=runner.input_range.span if isinstance(runner.input_range, InputRange) else None,
        notes=(
            *runner.notes,
            *parity.notes,
            *([_BY_PROCESSOR] if times and judged and name in times.by_processor else []),
        ),
        judgement=judgement,
    )


def _reference(
    runner: Runner, logits: npt.NDArray[np.float32], split: Split, times: _Times | None, head: Head
) -> ReferenceResult:
    right = int(np.count_nonzero(logits.argmax(axis=1) == split.labels))
    details: Mapping[str, str] = {}
    runtime = runner.name
    if isinstance(runner, GoldenRunner):
        details = runner.golden.meta.details()
        runtime = runner.golden.meta.runtime
    return ReferenceResult(
        label=runner.label,
        runtime=runtime,
        device=runner.device,
        file=runner.source,
        logits=logits,
        top1=right / len(split),
        top1_interval=wilson_interval(right, len(split)),
        latency_us=times.found.latencies.get(_REFERENCE) if times else None,
        details=details,
        notes=tuple(runner.notes),
        own=None if head.kind == CLASSES else own_figures(head, runner.label, logits, split),
    )
