"""What every way to quantize has in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mnist_export.pipeline.jobs.option import Option
from mnist_export.report.context import Finding

if TYPE_CHECKING:
    from mnist_export.core.graph import Graph
    from mnist_export.data import Dataset, Split
    from mnist_export.models.loading import LoadedModel
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.quantize import QuantizedModel
    from mnist_export.quantize.diagnosis.debug import Diagnosis
    from mnist_export.quantize.rewrites import Applied


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """What a method starts from.

    Attributes:
        loaded: the original.
        graph: its float graph, as it was lowered.
        dataset: training and validation data.
        calibration: images that set ranges; None for float precisions.
    """

    loaded: LoadedModel
    graph: Graph
    dataset: Dataset
    calibration: Split | None


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantizedNetwork:
    """The network, and what was found on the way to it.

    Attributes:
        network: what is exported.
        findings: for the report.
        fake_quant: the model that simulates the integers in float, after quantization-aware training.
        diagnosis: every layer's error, where it was asked for.
        compressed: whether weights were pruned or clustered.
        history: training figures by name, for the report.
    """

    network: QuantizedModel
    findings: tuple[Finding, ...] = ()
    fake_quant: Any = None
    diagnosis: Diagnosis | None = None
    compressed: bool = False
    history: dict[str, tuple[float | None, ...]] | None = None


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to quantize.

    Attributes:
        title: what it does, in a few words.
        wanted: whether a job asks for it.
        make: from a job and its source to the network.
        options: those of its own; the command line and the Python interface have them from here.
    """

    title: str
    wanted: Callable[[Job], bool]
    make: Callable[[Job, Source, Progress], QuantizedNetwork]
    options: tuple[Option, ...] = ()


def rewritten(job: Job, graph: Graph) -> tuple[Graph, tuple[Applied, ...]]:
    """The float graph in the form that is quantized, and which rewrites made it."""
    from mnist_export.quantize.rewrites import prepare

    return prepare(graph, job.scheme.precision) if job.prepare else (graph, ())


def with_rewrites(network: QuantizedModel, applied: tuple[Applied, ...]) -> QuantizedModel:
    """The network, with the rewrites of its float graph among its notes."""
    return replace(
        network,
        notes=(*network.notes, *(rewrite.sentence() for rewrite in applied)),
        rewrites=tuple(rewrite.name for rewrite in applied),
    )
