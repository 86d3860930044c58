"""From what was measured to the rows of a report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mnist_export.core.kinds import Verdict
from mnist_export.parity.comparison import Parity, Thresholds
from mnist_export.parity.heads import HeadJudgement
from mnist_export.parity.layers.error import LayerError
from mnist_export.parity.results import CandidateResult, CheckResult
from mnist_export.parity.verdict import Check, label_checks, pixel_rule_check
from mnist_export.report.parts import Matrix
from mnist_export.report.schema import ArtifactResult, ReferenceInfo
from mnist_export.runtime.timing.figures import Histogram, Latency

MATRIX_CLASSES = 200
MAX_FLIPS = 500
_OF_CLASSES = frozenset({"top-1 drop", "agreement"})


def reference_of(result: CheckResult) -> ReferenceInfo:
    """The original as the report holds it."""
    found = result.reference
    parity = result.candidates[0].parity
    if found.own is not None:
        return ReferenceInfo(
            runtime=found.runtime,
            device=found.device,
            latency_us=found.latency_us,
            details=dict(found.details),
            target_errors=found.own.values,
            target_labels=found.own.labels,
        )
    return ReferenceInfo(
        runtime=found.runtime,
        device=found.device,
        top1=found.top1,
        top1_interval=found.top1_interval,
        latency_us=found.latency_us,
        per_class_accuracy=_per_class(parity.reference_per_class),
        confusion=matrix_of(parity.reference_confusion),
        details=dict(found.details),
    )


def artifact_of(
    candidate: CandidateResult,
    limits: Thresholds,
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
    found = ArtifactResult(
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
        logits=parity.logits,
        latency_us=_with_histogram(candidate),
        vs_original=candidate.vs_original.ratio if candidate.vs_original else None,
        vs_original_interval=candidate.vs_original.interval if candidate.vs_original else None,
        vs_float=candidate.vs_float.ratio if candidate.vs_float else None,
        vs_float_interval=candidate.vs_float.interval if candidate.vs_float else None,
        verdict=parity.verdict,
        why=_why(parity, candidate.diagnosis),
        checks=(
            *(
                label_checks(
                    parity.drop_pp, parity.agreement, parity.images, limits, diagnosis=candidate.diagnosis
                )
                if candidate.judgement is None
                else _own_checks(candidate.judgement, parity.images)
            ),
            *pixel_rule_check(candidate.conflict),
        ),
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
    return _in_own_terms(found, candidate)


def _own_checks(judged: HeadJudgement, images: int) -> tuple[Check, ...]:
    """What labels or numbers were judged by."""
    return (
        *judged.checks,
        Check(name="finite outputs", verdict=Verdict.PASS, why=f"{images:,} images"),
    )


def _in_own_terms(artifact: ArtifactResult, candidate: CandidateResult) -> ArtifactResult:
    """Put in the place of what only classes give a meaning to what labels or numbers are judged by."""
    judged = candidate.judgement
    if judged is None:
        return artifact
    return replace(
        without_classes(replace(artifact, checks=(), verdict=Verdict.PASS)),
        verdict=artifact.verdict,
        why=artifact.why,
        checks=artifact.checks,
        drop_pp=judged.drop_pp,
        agreement=judged.agreement,
        agreement_interval=judged.agreement_interval,
        value_errors=judged.original_values,
        target_errors=judged.target_values,
        original_labels=judged.original_labels,
        target_labels=judged.target_labels,
    )


def without_classes(artifact: ArtifactResult) -> ArtifactResult:
    """Take the figures out of an artifact that only classes give a meaning to."""
    return replace(
        artifact,
        top1=None,
        top1_interval=None,
        drop_pp=None,
        agreement=None,
        agreement_interval=None,
        flips=None,
        flip_list=(),
        mcnemar_p=None,
        per_class_accuracy=None,
        confusion=None,
        verdict=Verdict.PASS,
        why="",
        checks=tuple(check for check in artifact.checks if check.name not in _OF_CLASSES),
    )


def _why(parity: Parity, diagnosis: str) -> str:
    return (
        f"{parity.why} It {diagnosis}."
        if diagnosis.startswith("looks")
        else (f"{parity.why} {diagnosis[0].upper()}{diagnosis[1:]}." if diagnosis else parity.why)
    )


def _with_histogram(candidate: CandidateResult) -> Latency | None:
    samples, latency = candidate.samples_us, candidate.latency_us
    if latency is None or samples is None or not len(samples):
        return latency
    return replace(latency, histogram=Histogram.of(samples.tolist()))


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
