"""From what the runtime room measured to the parts of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mnist_export.core.kinds import Verdict
from mnist_export.parity.comparison import Parity
from mnist_export.parity.comparison import Thresholds as Limits
from mnist_export.parity.layers.comparison import LayersResult
from mnist_export.parity.results import CandidateResult, CheckResult
from mnist_export.report.context import EnvironmentInfo, Thresholds
from mnist_export.report.parts import (
    Check,
    Histogram,
    LayerError,
    LogitsError,
    Matrix,
    Percentiles,
)
from mnist_export.report.schema import ArtifactResult, ReferenceInfo
from mnist_export.runtime.environment import Environment
from mnist_export.runtime.timing.latency import Latency

MATRIX_CLASSES = 200
MAX_FLIPS = 500


def percentiles_of(
    latency: Latency | None, samples_us: npt.NDArray[np.float64] | None = None
) -> Percentiles | None:
    """Latency as the report holds it.

    Args:
        latency: of one runner, None where not measured.
        samples_us: single times in microseconds, for the histogram.
    """
    if latency is None:
        return None
    return Percentiles(
        p50=latency.p50,
        p90=latency.p90,
        p99=latency.p99,
        p50_interval=latency.p50_interval,
        runs=latency.runs,
        batch=latency.batch,
        histogram=Histogram.of(samples_us.tolist()) if samples_us is not None and len(samples_us) else None,
    )


def environment_of(environment: Environment, *, timing: str = "") -> EnvironmentInfo:
    """The machine and versions as the report holds them.

    Args:
        environment: of this machine.
        timing: how latency was measured, such as ``in one process``; empty where it was not.
    """
    return EnvironmentInfo(
        cpu=environment.cpu,
        threads=environment.threads,
        versions={"python": environment.python, **environment.versions},
        cores=environment.cores,
        memory_bytes=environment.memory_bytes or None,
        system=environment.os,
        instruction_sets=environment.flags,
        timing=timing or None,
    )


def thresholds_of(limits: Limits) -> Thresholds:
    """The verdict's limits as the report holds them."""
    return Thresholds(max_drop_pp=limits.max_drop_pp, min_agreement=limits.min_agreement)


def reference_of(result: CheckResult) -> ReferenceInfo:
    """The original as the report holds it."""
    found = result.reference
    parity = result.candidates[0].parity
    return ReferenceInfo(
        runtime=found.runtime,
        device=found.device,
        top1=found.top1,
        top1_interval=found.top1_interval,
        latency_us=percentiles_of(found.latency_us),
        per_class_accuracy=_per_class(parity.reference_per_class),
        confusion=matrix_of(parity.reference_confusion),
        details=dict(found.details),
    )


def checks_of(parity: Parity, limits: Limits, *, diagnosis: str = "") -> tuple[Check, ...]:
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


def artifact_of(
    candidate: CandidateResult,
    limits: Limits,
    *,
    layers: Sequence[LayerError] = (),
) -> ArtifactResult:
    """One candidate as the report holds it.

    Args:
        candidate: what was measured on it.
        limits: what its verdict was measured against.
        layers: errors by layer, where they were measured.
    """
    parity, file = candidate.parity, candidate.file
    return ArtifactResult(
        format=file.format if file else candidate.runtime,
        precision=file.precision if file else "float32",
        variant=file.variant if file else "",
        path=file.path if file else candidate.label,
        sha256=file.sha256 if file else "",
        size_bytes=file.size_bytes if file else 0,
        runtime=candidate.runtime,
        top1=parity.top1,
        top1_interval=parity.top1_interval,
        drop_pp=parity.drop_pp,
        agreement=parity.agreement,
        agreement_interval=parity.agreement_interval,
        flips=parity.images - round(parity.agreement * parity.images),
        flip_list=parity.flips[:MAX_FLIPS],
        mcnemar_p=parity.mcnemar_p,
        logits=_logits(parity),
        latency_us=percentiles_of(candidate.latency_us, candidate.samples_us),
        vs_original=candidate.vs_original.ratio if candidate.vs_original else None,
        vs_original_interval=candidate.vs_original.interval if candidate.vs_original else None,
        vs_float=candidate.vs_float.ratio if candidate.vs_float else None,
        vs_float_interval=candidate.vs_float.interval if candidate.vs_float else None,
        verdict=parity.verdict,
        why=_why(parity, candidate.diagnosis),
        checks=(*checks_of(parity, limits, diagnosis=candidate.diagnosis), *_conflict(candidate.conflict)),
        input_type=candidate.input_type,
        input_shape=tuple(1 if size < 0 else size for size in candidate.input_shape),
        input_layout=_layout(candidate.input_shape),
        output_type=candidate.output_type,
        pixel_rule=candidate.pixel_rule or None,
        input_range=candidate.input_range,
        images_per_second={str(candidate.batch): candidate.images_per_second},
        load_ms=file.load_ms if file else None,
        per_class_accuracy=_per_class(parity.candidate_per_class),
        confusion=matrix_of(parity.candidate_confusion),
        layers=tuple(layers),
        notes=candidate.notes,
    )


def layers_of(result: LayersResult) -> tuple[LayerError, ...]:
    """Errors by layer as the report holds them; the worst channel's error is what the budget is for."""
    return tuple(
        LayerError(
            name=layer.candidate,
            operator=layer.kind,
            max_error_steps=layer.max_steps,
            max_abs_error=layer.max_abs_error,
            sqnr_db=layer.sqnr_db,
            worst_channel_steps=layer.worst_channel_steps,
            budget_steps=layer.budget_steps,
            exceeds=layer.exceeds,
        )
        for layer in result.layers
    )


def _conflict(text: str) -> tuple[Check, ...]:
    return (Check(name="pixel rule", verdict=Verdict.FAIL, why=text),) if text else ()


def _why(parity: Parity, diagnosis: str) -> str:
    return (
        f"{parity.why} It {diagnosis}."
        if diagnosis.startswith("looks")
        else (f"{parity.why} {diagnosis[0].upper()}{diagnosis[1:]}." if diagnosis else parity.why)
    )


def _logits(parity: Parity) -> LogitsError:
    errors = parity.logits
    return LogitsError(
        max_abs_error=errors.max_abs_error,
        sqnr_db=errors.sqnr_db,
        mean_abs_error=errors.mean_abs_error,
        max_error_steps=errors.max_steps,
        compared=parity.images * len(parity.candidate_per_class),
        different=errors.differing,
    )


def _layout(shape: tuple[int, ...]) -> str | None:
    if len(shape) != 4 or shape[1] == shape[3]:
        return None
    return "NCHW" if shape[1] < shape[3] else "NHWC"


def _per_class(values: npt.NDArray[np.float64]) -> tuple[float | None, ...]:
    return tuple(None if math.isnan(value) else value for value in values.tolist())


def matrix_of(confusion: npt.NDArray[np.int64]) -> Matrix | None:
    """The counts as the report holds them; a matrix of more classes than anybody reads is left out."""
    if len(confusion) > MATRIX_CLASSES:
        return None
    return tuple(tuple(row) for row in confusion.tolist())
