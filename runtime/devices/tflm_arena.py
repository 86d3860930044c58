"""The arena of a .tflite as TensorFlow Lite Micro itself reports it, where it is ready."""

from __future__ import annotations

from math import prod

import numpy as np

from mnist_export.core.errors import MnistExportError
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.runtime.devices.device import Question
from mnist_export.runtime.devices.tflm import DEVICE


def reported_arena(content: bytes, label: str) -> int | None:
    """Load a file in TFLM, run it once and read the arena that it used.

    Args:
        content: a .tflite of one input and one output.
        label: its name for messages.

    Returns:
        Bytes; None where TFLM is not ready on this machine or cannot run the file.
    """
    if DEVICE.why_not_ready():
        return None
    graph = read_tflite(content)
    source, target = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    question = Question(
        label=label,
        content=content,
        format="tflite",
        batch=np.zeros((1, *source.shape[1:]), source.dtype),
        classes=prod(target.shape[1:]),
        output_type=target.dtype,
    )
    try:
        return DEVICE.answer(question).arena_bytes
    except MnistExportError:
        return None
