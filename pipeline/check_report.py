"""The report of a check of files against their original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.parity.layers.error import LayerError
    from mnist_export.parity.results import CheckResult
    from mnist_export.report.schema import Report
    from mnist_export.runtime.runners.runner import Runner


def build_report(
    result: CheckResult,
    dataset: Dataset,
    reference: Runner,
    *,
    layers: Sequence[tuple[LayerError, ...]],
    threads: int,
) -> Report:
    """Put what was found into the report's form.

    Args:
        result: reference and candidates.
        dataset: what they were compared on.
        reference: the reference's runner, which may be closed.
        layers: errors by layer of each candidate, empty where not measured.
        threads: of one inference.
    """
    from mnist_export.core.pixel_rules import sentence_of
    from mnist_export.parity.heads import limits_of
    from mnist_export.report.context import DataInfo, ModelInfo
    from mnist_export.report.measured import artifact_of, reference_of
    from mnist_export.report.schema import Report
    from mnist_export.runtime.environment import describe
    from mnist_export.runtime.runners.golden import GoldenRunner

    file = result.reference.file
    meta = reference.golden.meta if isinstance(reference, GoldenRunner) else None
    environment = describe(threads=threads, timing=result.timing)
    return Report(
        verdict=result.verdict,
        model=ModelInfo(
            name=result.reference.label,
            source=reference.origin,
            parameters=(meta.parameters if meta else getattr(reference, "parameters", 0)) or None,
            macs=(meta.macs if meta else getattr(reference, "macs", 0)) or None,
            path=file.path if file else None,
            sha256=(meta.model_sha256 if meta else file.sha256 if file else "") or None,
            framework=result.reference.runtime,
            input_shape=dataset.image_shape,
            input_range=reference.pixel_rule.span,
            preprocessing=sentence_of(reference.pixel_rule),
            notes=result.reference.notes,
        ),
        data=DataInfo(
            name=dataset.name,
            images=result.images,
            source=dataset.provenance.source,
            sha256=dataset.test.images_sha256(),
            class_names=dataset.class_names,
            notes=dataset.provenance.notes,
        ),
        reference=reference_of(result),
        artifacts=tuple(
            artifact_of(candidate, result.thresholds, layers=found)
            for candidate, found in zip(result.candidates, layers, strict=True)
        ),
        environment=environment,
        timings_s=dict(result.seconds),
        notes=result.notes,
        thresholds=limits_of(result.thresholds, result.head),
        head=result.head.kind,
        pairs=result.pairs,
        tool_version=environment.versions.get("mnist-export"),
    )
