"""Post-training quantization, and the float precisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mnist_export.pipeline.methods.method import Method, QuantizedNetwork, rewritten, with_rewrites

if TYPE_CHECKING:
    from mnist_export.pipeline.job import Job
    from mnist_export.pipeline.methods.method import Source
    from mnist_export.pipeline.progress import Progress


def _make(job: Job, source: Source, _progress: Progress) -> QuantizedNetwork:
    from mnist_export.quantize import quantize

    graph, applied = rewritten(job, source.graph)
    network = quantize(graph, job.scheme, source.calibration.images if source.calibration else None)
    return QuantizedNetwork(network=with_rewrites(network, applied))


METHOD = Method(title="post-training quantization", wanted=lambda _job: True, make=_make)
