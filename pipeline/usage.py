"""Code for the place that files go to: beside the artifacts, and at the end of the report."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mnist_export.core.registry import LazyRegistry
from mnist_export.report.usage import Usage

if TYPE_CHECKING:
    from mnist_export.export.tflm_source import ArenaSize, Board
    from mnist_export.models.loading import LoadedModel
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.report.schema import ArtifactResult, Report

_HERE: Final = "mnist_export.report"
_NPU: Final = "ethos-u"

USAGES: LazyRegistry[Callable[..., Usage | None]] = LazyRegistry(
    "usage",
    {
        "python": f"{_HERE}.usage_python:python_usage",
        "openvino": f"{_HERE}.usage_python:openvino_usage",
        "tract": f"{_HERE}.usage_python:tract_usage",
        "page": f"{_HERE}.usage_page:page_usage",
        "kotlin": f"{_HERE}.usage_kotlin:kotlin_usage",
    },
)
"""By the name that a target states; those of microcontrollers stand in `export.tflm_boards.BOARDS`."""


def beside_of(
    job: Job, loaded: LoadedModel, pixels: tuple[float, float], class_names: tuple[str, ...]
) -> Callable[[str, Mapping[str, bytes]], Mapping[str, bytes]] | None:
    """What makes the files that a target wants beside the artifacts; None where it wants none.

    Args:
        job: what was asked for.
        loaded: the original.
        pixels: what pixels 0 and 255 become for the files.
        class_names: in output order.
    """
    from mnist_export.models.judging import CLASSES

    board = _board(job)
    if board is None:
        return None
    names = class_names if loaded.head == CLASSES and job.until is None else ()

    def make(stem: str, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        content = files.get(f"{stem}.tflite")
        if content is None:
            return {}
        file = f"{stem}{board.extension}"
        text = _program(board, content, file, loaded.name, pixels, names)
        return {file: text.encode("ascii")}

    return make


def with_usage(report: Report, job: Job) -> Report:
    """Add the code that uses the files there to a report."""
    if job.deployment is None or job.until is not None:
        return report
    kind, board = job.deployment.usage, _board(job)
    items = []
    for artifact in report.artifacts:
        if board is not None or kind == _NPU:
            items.append(_on_board(artifact, report, job, board))
        else:
            names = report.data.class_names
            items.append(USAGES.get(kind)(artifact, report.model, names, report.head))
    return replace(report, usage=tuple(item for item in items if item is not None))


def _board(job: Job) -> Board | None:
    from mnist_export.export.tflm_boards import BOARDS

    return BOARDS.get(job.deployment.usage) if job.deployment is not None else None


def _on_board(artifact: ArtifactResult, report: Report, job: Job, board: Board | None) -> Usage | None:
    """What a report shows of a program: all but the array."""
    from mnist_export.report.heads import CLASSES

    if artifact.format != "tflite":
        return None
    path = Path(artifact.path)
    names = report.data.class_names if report.head == CLASSES else ()
    title = job.deployment.title if job.deployment is not None else ""
    if board is None:
        return _on_npu(artifact, path, title)
    kept = path.with_name(path.name.removesuffix(".tflite") + board.extension)
    pixels = artifact.input_range or report.model.input_range or (0.0, 1.0)
    code = _program(board, path.read_bytes(), kept.name, report.model.name, pixels, names, array=False)
    return Usage(file=artifact.name, title=title, language="cpp", code=code, path=str(kept))


def _on_npu(artifact: ArtifactResult, path: Path, title: str) -> Usage:
    from mnist_export.export.targets import DEPLOYMENTS

    device = DEPLOYMENTS.get(_NPU).devices[0]
    stem = path.name.removesuffix(".tflite")
    lines = [
        "pip install ethos-u-vela",
        f"vela --accelerator-config {device} --output-dir . {path.name}",
        f"xxd -i {stem}_vela.tflite > {stem}_vela.cc",
        "# In TensorFlow Lite Micro one operator is left: tflite::MicroMutableOpResolver<1>, AddEthosU()",
    ]
    return Usage(file=artifact.name, title=title, language="sh", code="\n".join(lines) + "\n")


def _program(
    board: Board,
    content: bytes,
    file: str,
    name: str,
    pixels: tuple[float, float],
    class_names: tuple[str, ...],
    *,
    array: bool = True,
) -> str:
    from mnist_export.core.graph.tflite_reader import read_tflite
    from mnist_export.export.tflm_source import tflm_source

    return tflm_source(
        content,
        read_tflite(content),
        file=file,
        name=name,
        arena=_arena(content, file),
        pixels=pixels,
        class_names=class_names,
        board=board,
        array=array,
    )


@functools.lru_cache(maxsize=2)  # asked for twice a file: what is kept beside it, and what is shown
def _arena(content: bytes, label: str) -> ArenaSize:
    """Measured where TFLM is ready, else computed."""
    from mnist_export.core.graph.tflite_reader import read_tflite
    from mnist_export.export.tflm_source import ArenaSize
    from mnist_export.runtime.devices.tflm_arena import reported_arena

    reported = reported_arena(content, label)
    if reported is not None:
        return ArenaSize(size_bytes=-(-reported // 16) * 16, measured=True)
    return ArenaSize.estimated(read_tflite(content))
