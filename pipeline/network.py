"""From the float model to the network that is exported: training, search, diagnosis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_export.pipeline.methods import METHODS
from mnist_export.pipeline.methods.pixels import with_preprocessing
from mnist_export.report.context import Finding

if TYPE_CHECKING:
    from mnist_export.core.graph import Graph
    from mnist_export.data import Split
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.pipeline.methods.method import QuantizedNetwork, Source
    from mnist_export.quantize import QuantizedModel
    from mnist_export.quantize.diagnosis.debug import Diagnosis


def make_network(job: Job, source: Source, progress: Progress) -> QuantizedNetwork:
    """Carry out everything that was asked for between the float graph and the integers.

    Args:
        job: what was asked for.
        source: the original, its float graph, and data.
        progress: told about long steps.
    """
    method = next(method for method in map(METHODS.get, METHODS) if method.wanted(job))
    made = method.make(job, source, progress)
    findings = (
        *_about_calibration(job, made.network, source),
        *made.findings,
        *_about_overflow(job, made.network),
    )
    diagnosis = None
    if job.extra.debug_layers and source.calibration is not None:
        diagnosis, said = _diagnosed(made.network, source.graph, source.calibration, progress)
        findings += said
    network = with_preprocessing(job, made.network)
    return replace(made, network=network, findings=findings, diagnosis=diagnosis)


def _about_calibration(job: Job, network: QuantizedModel, source: Source) -> tuple[Finding, ...]:
    """Whether other images would give the same ranges; measured here where the method does not do it."""
    calibration = source.calibration
    if calibration is None or len(calibration) < 2:
        return ()
    from mnist_export.quantize.ranges.calibration_check import scale_movement

    moved = network.movement or scale_movement(
        source.graph,
        calibration.array,
        input_range=job.scheme.input_range,
        method=job.scheme.calibration_method,
    )
    level = "info" if moved.is_stable else "warning"
    return (Finding(text=moved.sentence(), level=level, where="calibration"),)


def _about_overflow(job: Job, network: QuantizedModel) -> tuple[Finding, ...]:
    from mnist_export.core.kinds import Format
    from mnist_export.quantize.diagnosis.overflow import check_overflow

    if Format.ONNX not in job.formats:
        return ()
    risks = check_overflow(network.graph)
    return tuple(Finding(text=risk.sentence(), where="16-bit pairs") for risk in risks if not risk.is_safe)


def _diagnosed(
    network: QuantizedModel, graph: Graph, calibration: Split, progress: Progress
) -> tuple[Diagnosis, tuple[Finding, ...]]:
    from mnist_export.quantize.diagnosis.debug import diagnose

    found = diagnose(network.source or graph, network, calibration.array)
    progress.note(f"layers, the most harmful first ({found.images} images):")
    for layer in found.layers:
        progress.note(f"  {layer.name}: {layer.sentence()}")
    for text in found.advice:
        progress.note(f"  {text}")
    level = "info" if found.logits_sqnr_db > 20 else "warning"
    said = [Finding(text=text, level=level, where="`debug_layers`") for text in found.advice]
    said += [Finding(text=layer.sentence(), where=layer.name) for layer in found.layers]
    return found, tuple(said)
