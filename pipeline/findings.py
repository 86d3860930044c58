"""What quantization found on its way, brought into the report: gaps, layers, zeros and clusters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mnist_export.report.context import Gap

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.parity.heads import Head
    from mnist_export.parity.results import CheckResult
    from mnist_export.pipeline.methods.method import QuantizedNetwork
    from mnist_export.report.schema import ArtifactResult, Report


def with_findings(report: Report, made: QuantizedNetwork, dataset: Dataset, result: CheckResult) -> Report:
    """Add to a report what was found before the files were written.

    Args:
        report: of the run.
        made: from `make_network`.
        dataset: what the files were judged on.
        result: what the check found.
    """
    artifacts = tuple(_with_layers(_with_compression(a, made), made) for a in report.artifacts)
    history = {**report.history, **(made.history or {})}
    gaps = (*report.gaps, *_gaps(made, dataset, result))
    return replace(
        report, findings=(*report.findings, *made.findings), artifacts=artifacts, gaps=gaps, history=history
    )


def _with_compression(artifact: ArtifactResult, made: QuantizedNetwork) -> ArtifactResult:
    if not made.compressed:
        return artifact
    from mnist_export.quantize.training.compression import gzip_bytes, weight_figures
    from mnist_export.report.parts import Compression

    figures = weight_figures(made.network.graph)
    return replace(
        artifact,
        compression=Compression(
            sparsity=figures.sparsity,
            distinct_weights=dict(figures.distinct_weights),
            size_gzip_bytes=gzip_bytes(Path(artifact.path).read_bytes()),
        ),
    )


def _with_layers(artifact: ArtifactResult, made: QuantizedNetwork) -> ArtifactResult:
    if made.diagnosis is None or artifact.layers:
        return artifact
    from mnist_export.parity.layers.error import LayerError

    rows = sorted(made.diagnosis.layers, key=lambda layer: layer.position)
    return replace(
        artifact,
        layers=tuple(
            LayerError(
                name=row.name,
                operator=row.operator,
                max_abs_error=row.max_abs_error,
                max_error_steps=row.max_abs_error / row.step if row.step else None,
                sqnr_db=row.propagated_sqnr_db,
                own_sqnr_db=row.own_sqnr_db,
                alone_sqnr_db=row.alone_sqnr_db,
                observed=row.observed,
                saturation=row.saturation,
            )
            for row in rows
        ),
    )


def _gaps(made: QuantizedNetwork, dataset: Dataset, result: CheckResult) -> tuple[Gap, ...]:
    """Float to fake-quant, fake-quant to the int8 integers, the integers to each runtime."""
    if made.fake_quant is None:
        return ()
    from mnist_export.quantize.network.simulate import run_tensors
    from mnist_export.quantize.training.qat import logits_of

    images, network = dataset.test.images, made.network
    simulated = logits_of(made.fake_quant, images, network.input_range)
    (index,) = network.graph.outputs
    integers = np.concatenate(
        [
            values[index]
            for values in run_tensors(network.graph, images, [index], input_range=network.input_range)
        ]
    )
    head = result.head
    gaps = [
        _gap(
            "float to fake-quant", result.reference.logits, simulated, head, dataset, "what training changed"
        ),
        _gap(
            "fake-quant to int8 file",
            simulated,
            integers,
            head,
            dataset,
            "the file in LiteRT's built-in kernels",
        ),
    ]
    gaps += [
        _gap(f"int8 file to {found.runtime}", integers, found.logits, head, dataset, found.label)
        for found in result.candidates
    ]
    return tuple(gaps)


def _gap(name: str, reference: Any, candidate: Any, head: Head, dataset: Dataset, text: str) -> Gap:
    from mnist_export.parity.checking import compared
    from mnist_export.parity.heads import ANYTHING

    found, judged = compared(head, reference, candidate, dataset.test, thresholds=ANYTHING)
    return Gap(
        name=name,
        top1=found.top1 if judged is None else None,
        drop_pp=found.drop_pp if judged is None else judged.drop_pp,
        agreement=found.agreement if judged is None else judged.agreement,
        max_abs_error=found.logits.max_abs_error,
        text=text,
    )
