"""The network's own float32 files, which integer files' times are compared with."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.core.errors import MnistExportError
from mnist_export.core.kinds import Format, Precision

if TYPE_CHECKING:
    from mnist_export.export.described import Described
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.methods.method import Source


def write_float_files(job: Job, source: Source, described: Described, folder: Path) -> list[Path]:
    """Write the float32 form of a job's .tflite and .onnx, as an export of float32 would.

    Args:
        job: its formats are written; none where they are float32 themselves.
        source: the network before quantization.
        described: names and hashes.
        folder: a scratch folder.

    Returns:
        The files; a format that cannot carry the network in float is left out.
    """
    from mnist_export.core.known import remember
    from mnist_export.export.artifacts import write_artifacts
    from mnist_export.pipeline.jobs.progress import SILENT
    from mnist_export.pipeline.methods import METHODS
    from mnist_export.pipeline.methods.pixels import with_preprocessing

    formats = [fmt for fmt in job.formats if fmt in {Format.TFLITE, Format.ONNX}]
    if job.scheme.precision is Precision.FLOAT32 or not formats:
        return []
    plain = replace(
        job, scheme=replace(job.scheme, precision=Precision.FLOAT32, keep_float=(), improvements=())
    )
    paths = []
    with contextlib.suppress(MnistExportError):
        network = METHODS.get("post-training").make(plain, source, SILENT).network
        network = with_preprocessing(job, network)
        for fmt in formats:
            with contextlib.suppress(MnistExportError):
                written = write_artifacts(network, described, [fmt], folder / str(fmt))
                remember(item.sha256 for item in written.artifacts)
                paths += [item.path for item in written.artifacts]
    return paths
