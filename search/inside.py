"""Sizes that are read from a trial's files: constants, live values, and a microcontroller's memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def sizes_inside(paths: Sequence[Path]) -> dict[str, float]:
    """Bytes by figure.

    Args:
        paths: of the artifacts; the first is the .tflite.
    """
    from mnist_export.core.graph.tflite_reader import read_tflite
    from mnist_export.export.tflm_arena import tflm_arena
    from mnist_export.runtime.devices.tflm_arena import reported_arena
    from mnist_export.runtime.runners.litert import LiteRtRunner
    from mnist_export.runtime.timing.arena import activation_memory

    content = paths[0].read_bytes()
    graph = read_tflite(content)
    reported = reported_arena(content, paths[0].name)
    arena = tflm_arena(graph).size_bytes if reported is None else reported
    return {
        "weights": float(sum(tensor.data.nbytes for tensor in graph.tensors if tensor.data is not None)),
        "values": float(activation_memory(LiteRtRunner(content)).live_tensor_peak_bytes),
        "arena": float(arena),
        "ram": float(_of_plain_c(paths) or arena),
    }


def _of_plain_c(paths: Sequence[Path]) -> int | None:
    """What the activations of plain C take, as its header states; None where there is no plain C."""
    from mnist_export.runtime.devices.bare_c import arena_of

    for path in paths:
        header = path.with_suffix(".h")
        if path.suffix == ".c" and header.is_file():
            text = header.read_bytes()
            if b"_predict(" in text:
                return arena_of(text)
    return None
