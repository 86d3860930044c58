"""What a check found, as data with a JSON form: the reference, and each candidate beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.kinds import Verdict
from mnist_export.parity.comparison import Parity, Thresholds
from mnist_export.parity.heads import Head, HeadJudgement, OwnFigures
from mnist_export.parity.pairs import Pair
from mnist_export.runtime.runners.model_file import ModelFile
from mnist_export.runtime.timing.figures import Latency, Ratio


def to_json(value: Any) -> Any:
    """Turn results into what ``json`` takes: dataclasses to objects, arrays to lists, NaN to null.

    Args:
        value: a dataclass of this room, or anything within one.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in fields(value) if item.repr}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [to_json(item) for item in (value.tolist() if isinstance(value, np.ndarray) else value)]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


@dataclass(frozen=True, kw_only=True, eq=False)
class ReferenceResult:
    """The original's answers and times.

    Attributes:
        label: its name.
        runtime: ``keras``, ``litert``, ``onnxruntime`` or ``golden``.
        device: what it ran on.
        file: where it was opened from, None for a model in memory.
        logits: float32 (images, classes); not part of the JSON form.
        top1: fraction of 1.
        top1_interval: its 95 % Wilson interval.
        latency_us: at batch 1 in this run; None where not measured.
        details: driver, TF32, versions, for a recording.
        notes: fallbacks that were taken.
        own: how good it is itself, where outputs are labels or numbers.
    """

    label: str
    runtime: str
    device: str
    file: ModelFile | None
    logits: npt.NDArray[np.float32] = field(repr=False)
    top1: float
    top1_interval: tuple[float, float]
    latency_us: Latency | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    own: OwnFigures | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class CandidateResult:
    """One candidate beside the reference.

    Attributes:
        label: its name.
        runtime: what ran it.
        device: what it ran on.
        threads: threads of one inference.
        file: where it was opened from, None for a model in memory.
        input_type: dtype of the input tensor.
        input_shape: of the input tensor, batch first as -1.
        output_type: dtype of the output tensor.
        pixel_rule: how pixels become inputs, from our metadata; empty for foreign files.
        logits: float32 (images, classes); not part of the JSON form.
        parity: the comparison; its ``verdict`` and ``why`` are the candidate's. Where outputs are no classes,
            only its errors of values mean something.
        latency_us: at batch 1; None where not measured.
        vs_original: time over the reference's from interleaved turns; None for recorded references.
        vs_float: time over that of a float32 file of the same runtime, in the same turns; None where there is
            none.
        samples_us: times of single invocations, a sample of at most 2,000 for plots; not in the JSON form.
        batch: images of one call when the answers were computed.
        images_per_second: of that, with the preparation of the images.
        diagnosis: what kind of damage the answers look like, empty where nothing is wrong.
        conflict: what is wrong with the pixel rule that the file says it computes, empty where nothing is.
        input_range: what pixels 0 and 255 become for the file; None for a rule by channel.
        notes: fallbacks that were taken.
        judgement: where outputs are labels or numbers.
    """

    label: str
    runtime: str
    device: str
    threads: int
    file: ModelFile | None
    input_type: str
    input_shape: tuple[int, ...]
    output_type: str
    pixel_rule: str
    logits: npt.NDArray[np.float32] = field(repr=False)
    parity: Parity
    latency_us: Latency | None = None
    vs_original: Ratio | None = None
    vs_float: Ratio | None = None
    samples_us: npt.NDArray[np.float64] | None = field(default=None, repr=False)
    batch: int = 1
    images_per_second: float = 0.0
    diagnosis: str = ""
    conflict: str = ""
    input_range: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    judgement: HeadJudgement | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckResult:
    """The reference and all candidates.

    Attributes:
        verdict: pass where every candidate passes.
        thresholds: what the verdicts were measured against.
        images: how many were compared.
        reference: the original.
        candidates: in the order given.
        images_per_second: parity runs' throughput by label, of the whole call with preparation.
        seconds: of each stage.
        pairs: candidates with one output step, compared with each other.
        timing: how latency was measured, ``in one process`` or ``each in its own process``; empty where not.
        notes: what a reader should know of the run, such as that the machine was busy.
        head: what the outputs are, and what they were judged by.
    """

    verdict: Verdict
    thresholds: Thresholds
    images: int
    reference: ReferenceResult
    candidates: tuple[CandidateResult, ...]
    images_per_second: Mapping[str, float] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    timing: str = ""
    notes: tuple[str, ...] = ()
    head: Head = field(default_factory=Head)
