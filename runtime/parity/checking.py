"""Compares candidates with a reference over a whole test set, then times them in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.runtime.environment import busy_note
from mnist_export.runtime.parity.comparison import Parity, Thresholds, compare
from mnist_export.runtime.parity.diagnosis import diagnose
from mnist_export.runtime.parity.golden import GoldenRunner
from mnist_export.runtime.parity.results import CandidateResult, CheckResult, ReferenceResult
from mnist_export.runtime.runners.runner import Runner
from mnist_export.runtime.statistics import wilson_interval
from mnist_export.runtime.timing.latency import Effort, Interleaved, measure_interleaved

if TYPE_CHECKING:
    from mnist_export.data.dataset import Split

KEPT_SAMPLES: Final = 2000
_REFERENCE: Final = "reference"


def _silent(_: str) -> None:
    """Say nothing."""


def check(
    reference: Runner,
    candidates: Sequence[Runner],
    split: Split,
    *,
    thresholds: Thresholds | None = None,
    effort: Effort | None = None,
    timed: bool = True,
    pin: bool = False,
    notify: Callable[[str], None] = _silent,
) -> CheckResult:
    """Run everything over the images and judge each candidate.

    Args:
        reference: the original, or its recording.
        candidates: at least one.
        split: test images and labels.
        thresholds: what the verdicts are measured against.
        effort: how long to measure latency.
        timed: whether to measure latency at batch 1, all models in turns.
        pin: hold the process on as many processors as there are threads while timing.
        notify: told what is being done.

    Raises:
        InputError: no candidates, no images, other data than a recording's, answers that are not finite.
    """
    if not candidates:
        raise InputError("check: expected at least one candidate, found none.")
    if not len(split):
        raise InputError("check: expected at least one image, found none. Nothing compared is no pass.")
    limits = thresholds or Thresholds()
    if isinstance(reference, GoldenRunner):
        reference.golden.require(split, label=reference.label)
    for runner in candidates:
        _same_classes(reference, runner)
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
    parities = [
        compare(
            answers[0],
            logits,
            split.labels,
            thresholds=limits,
            candidate_step=runner.output_step,
            reference_step=reference.output_step,
        )
        for runner, logits in zip(candidates, answers[1:], strict=True)
    ]
    started = time.perf_counter()
    times = _measure(reference, candidates, split, effort=effort, pin=pin, notify=notify) if timed else None
    seconds["latency"] = time.perf_counter() - started
    found = tuple(
        _candidate(
            runner,
            logits,
            parity,
            name=str(place),
            times=times,
            speed=speeds[place + 1],
            diagnosis=diagnose(runner, answers[0], logits, parity, split),
        )
        for place, (runner, logits, parity) in enumerate(zip(candidates, answers[1:], parities, strict=True))
    )
    failed = any(parity.verdict is Verdict.FAIL for parity in parities)
    return CheckResult(
        verdict=Verdict.FAIL if failed else Verdict.PASS,
        thresholds=limits,
        images=len(split),
        reference=_reference(reference, answers[0], split, times),
        candidates=found,
        images_per_second=speed,
        seconds=seconds,
        notes=tuple(filter(None, [busy_note() if timed else ""])),
    )


def _same_classes(reference: Runner, candidate: Runner) -> None:
    if reference.num_classes != candidate.num_classes:
        raise InputError(
            f"{candidate.label}: expected {reference.num_classes} classes as in {reference.label}, found "
            f"{candidate.num_classes}. They are not versions of one model."
        )


def _measure(
    reference: Runner,
    candidates: Sequence[Runner],
    split: Split,
    *,
    effort: Effort | None,
    pin: bool,
    notify: Callable[[str], None],
) -> Interleaved:
    runners: dict[str, Runner] = {str(place): runner for place, runner in enumerate(candidates)}
    if not isinstance(reference, GoldenRunner):
        runners = {_REFERENCE: reference, **runners}
    notify(f"latency at batch 1: {len(runners)} models in turns")
    return measure_interleaved(runners, split.images[:1], effort=effort, pin=pin)


def _candidate(
    runner: Runner,
    logits: npt.NDArray[np.float32],
    parity: Parity,
    *,
    name: str,
    times: Interleaved | None,
    speed: float,
    diagnosis: str,
) -> CandidateResult:
    samples = times.samples_us[name] if times else None
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
        latency_us=times.latencies[name] if times else None,
        vs_original=times.ratios.get(name) if times and times.baseline == _REFERENCE else None,
        samples_us=samples,
        batch=min(runner.preferred_batch, parity.images),
        images_per_second=speed,
        diagnosis=diagnosis,
        notes=(*runner.notes, *parity.notes),
    )


def _reference(
    runner: Runner, logits: npt.NDArray[np.float32], split: Split, times: Interleaved | None
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
        latency_us=times.latencies.get(_REFERENCE) if times else None,
        details=details,
        notes=tuple(runner.notes),
    )
