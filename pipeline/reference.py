"""Opens the original that an export is judged against: in Keras, or in the runtime that its file is for."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnist_export.models.loading import LoadedModel
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.runtime.runners.runner import Runner


def open_reference(job: Job, loaded: LoadedModel, stack: ExitStack) -> Runner:
    """Open the original.

    A model that came as a .tflite answers in LiteRT, one that came as an .onnx in ONNX Runtime: from the file
    itself, less the softmax that it ended in. All others answer in Keras.

    Args:
        job: the threads and the range of pixels.
        loaded: the model.
        stack: closes the runner, and deletes its file.

    Raises:
        InputError: the runtime refuses the file.
    """
    from dataclasses import replace

    from mnist_export.core.scratch import scratch_folder
    from mnist_export.models.foreign.other_sources import original_of
    from mnist_export.runtime.runners.keras import KerasRunner
    from mnist_export.runtime.runners.opening import open_runner

    in_keras = KerasRunner.of(loaded, threads=job.threads, input_range=job.input_range)
    original = original_of(loaded.model)
    if original is None:
        return stack.enter_context(in_keras)
    path = stack.enter_context(scratch_folder()) / f"{loaded.name}{original.suffix}"
    path.write_bytes(original.content)
    runner = open_runner(path, threads=job.threads, input_range=job.input_range, trust=job.trust)
    stack.enter_context(runner)
    runner.label = loaded.name
    runner.notes.extend(loaded.notes)
    runner.origin = loaded.source.kind
    if runner.source is not None and in_keras.source is not None:
        runner.source = replace(
            runner.source,
            path=in_keras.source.path,
            sha256=in_keras.source.sha256,
            size_bytes=in_keras.source.size_bytes,
        )
    return runner
