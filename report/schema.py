"""The report: what `report.json`, schema version 1, holds.

`top1`, `agreement` and other accuracies are fractions of 1; `drop_pp` is percentage points, reference
minus artifact; latencies are microseconds. None (null in JSON) always means "not measured".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.core.record import Interval, Record, check_interval
from mnist_export.parity.certificate.summary import CertificateSummary
from mnist_export.parity.comparison import Flip, Thresholds
from mnist_export.parity.label_sets import SetAgreement
from mnist_export.parity.layers.error import LayerError
from mnist_export.parity.logits import LogitErrors
from mnist_export.parity.on_devices import DeviceVerdict, OnDevice
from mnist_export.parity.pairs import Pair
from mnist_export.parity.values import Distance
from mnist_export.parity.verdict import Check
from mnist_export.report.codec import decode_json, encode_json
from mnist_export.report.context import DataInfo, Finding, Gap, ModelInfo
from mnist_export.report.parts import Audit, Compression, Matrix, check_matrix
from mnist_export.report.usage import Usage
from mnist_export.runtime.environment import Environment
from mnist_export.runtime.timing.figures import Latency

SCHEMA_VERSION = 1
MAX_REPORT_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class ReferenceInfo(Record):
    """The original: what the artifacts are compared with.

    Attributes:
        runtime: such as ``"keras"``.
        device: such as ``"CPU"`` or a GPU's name.
        top1: fraction of images it classifies correctly.
        latency_us: of one image on this machine.
        top1_interval: Wilson interval of ``top1``.
        per_class_accuracy: fraction for each class; None for a class without images.
        confusion: counts, row = true class, column = predicted class; None for more than 200 classes.
        target_errors: of outputs that are numbers, against the data's.
        target_labels: of several labels an image, against the data's.
        details: driver, TF32 setting, versions, as text.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("top1",)

    runtime: str
    device: str
    top1: float | None = None
    latency_us: Latency | None = None
    top1_interval: Interval | None = None
    per_class_accuracy: tuple[float | None, ...] | None = None
    confusion: Matrix | None = None
    target_errors: Distance | None = None
    target_labels: SetAgreement | None = None
    details: dict[str, str] = field(default_factory=dict)

    def _check(self) -> None:
        check_interval(self.top1_interval, "ReferenceInfo.top1_interval")
        check_matrix(self.confusion, "ReferenceInfo.confusion")


@dataclass(frozen=True, kw_only=True)
class ArtifactResult(Record):
    """One written file and what was measured on it.

    Attributes:
        format: ``"tflite"``, ``"onnx"`` or ``"c"``.
        precision: ``"float32"``, ``"float16"``, ``"dynamic"``, ``"int8"``, ``"int16x8"``.
        variant: such as ``"qat"``; empty for post-training.
        path: where the file is.
        sha256: hex hash of the file.
        size_bytes: its size.
        runtime: what ran it, such as ``"litert"``.
        top1: fraction of images classified correctly.
        top1_interval: Wilson interval of ``top1``.
        drop_pp: percentage points, reference minus artifact.
        agreement: fraction of images where both predict the same class.
        agreement_interval: Wilson interval of ``agreement``.
        flips: number of images where the predictions differ.
        flip_list: some or all of them.
        mcnemar_p: p-value of McNemar's exact test on the pairs; None when not computed.
        logits: errors of the logits.
        latency_us: of one image.
        vs_original: p50 of the artifact divided by p50 of the reference, interleaved in one run.
        vs_original_interval: confidence interval of that ratio.
        vs_float: time over that of the same network's float32 file in the same runtime, interleaved in the
            same run; None for the float32 file itself, and where there is none.
        vs_float_interval: confidence interval of that ratio.
        images_per_second: batch size (as text) to throughput.
        load_ms: milliseconds to load the file.
        peak_memory_bytes: growth of resident memory.
        verdict: outcome of all checks.
        why: one sentence on the outcome.
        checks: each check by name.
        per_class_accuracy: fraction for each class; None for a class without images.
        confusion: counts, row = true class, column = predicted class; None for more than 200 classes.
        value_errors: of outputs that are numbers, against the original's.
        target_errors: the same against the data's.
        original_labels: of several labels an image, agreement with the original's.
        target_labels: the same with the data's; ``drop_pp`` is then of its exact match, ``agreement`` the
            share of images with all of the original's labels.
        layers: errors by layer, in order of execution.
        audit: what the file holds.
        certificate: of exactness, if one was asked for.
        compression: what pruning and clustering left.
        input_type: type of the input tensor, such as ``"int8"``.
        input_shape: for a batch of one, such as (1, 28, 28, 1).
        input_layout: ``"NHWC"`` or ``"NCHW"``; None when it does not matter.
        output_type: type of the output tensor.
        pixel_rule: how a pixel becomes an input value, in a sentence.
        input_range: what pixel values 0 and 255 become for the file; None is as for the model.
        notes: fallbacks and other remarks.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("top1", "agreement", "mcnemar_p")
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = (
        "size_bytes", "flips", "vs_original", "vs_float", "load_ms", "peak_memory_bytes",
    )  # fmt: skip

    format: str
    precision: str
    variant: str = ""
    path: str
    sha256: str
    size_bytes: int
    runtime: str
    top1: float | None = None
    top1_interval: Interval | None = None
    drop_pp: float | None = None
    agreement: float | None = None
    agreement_interval: Interval | None = None
    flips: int | None = None
    mcnemar_p: float | None = None
    logits: LogitErrors | None = None
    latency_us: Latency | None = None
    vs_original: float | None = None
    vs_original_interval: Interval | None = None
    vs_float: float | None = None
    vs_float_interval: Interval | None = None
    verdict: Verdict
    why: str = ""
    checks: tuple[Check, ...] = ()
    input_type: str | None = None
    input_shape: tuple[int, ...] | None = None
    input_layout: str | None = None
    output_type: str | None = None
    pixel_rule: str | None = None
    input_range: Interval | None = None
    images_per_second: dict[str, float] | None = None
    load_ms: float | None = None
    peak_memory_bytes: int | None = None
    flip_list: tuple[Flip, ...] = ()
    per_class_accuracy: tuple[float | None, ...] | None = None
    confusion: Matrix | None = None
    value_errors: Distance | None = None
    target_errors: Distance | None = None
    original_labels: SetAgreement | None = None
    target_labels: SetAgreement | None = None
    layers: tuple[LayerError, ...] = ()
    audit: Audit | None = None
    certificate: CertificateSummary | None = None
    compression: Compression | None = None
    notes: tuple[str, ...] = ()

    def _check(self) -> None:
        for name in ("top1_interval", "agreement_interval", "vs_original_interval", "vs_float_interval"):
            check_interval(getattr(self, name), f"ArtifactResult.{name}")
        check_matrix(self.confusion, "ArtifactResult.confusion")
        if self.flips is not None and len(self.flip_list) > self.flips:
            raise InputError(
                f"ArtifactResult.flip_list: expected at most the {self.flips} flips that were counted, "
                f"found {len(self.flip_list)}."
            )
        if self.verdict is Verdict.PASS and any(c.verdict is Verdict.FAIL for c in self.checks):
            raise InputError("ArtifactResult.verdict: expected 'fail', as a check fails, found 'pass'.")

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.path.replace("\\", "/").rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class OutputResult(Record):
    """One of several outputs of a model, judged by itself.

    Attributes:
        name: the model's own, and the files'.
        head: what it is, see `Report`.
        verdict: pass where every artifact's answers of this output are within their limits.
        reference: the original's figures of this output; without those of classes or y where the data has
            none.
        artifacts: each artifact's figures of this output, in the report's order.
        thresholds: what it was judged against.
        names: one a class, label or value.
    """

    name: str
    head: str
    verdict: Verdict
    reference: ReferenceInfo
    artifacts: tuple[ArtifactResult, ...]
    thresholds: Thresholds | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report(Record):
    """All results of one run.

    Attributes:
        schema_version: 1.
        verdict: pass only if every artifact passes and there is at least one.
        timings_s: stage to seconds, in the order of the stages.
        thresholds: what the verdict was taken against.
        findings: what calibration noticed.
        pairs: artifacts with one output step, compared with each other.
        devices: the artifacts on other devices.
        gaps: accuracy step by step from float to runtime.
        history: name of a training figure (such as ``val_accuracy``) to its value in each epoch.
        not_checked: what was left unchecked, each in a sentence.
        notes: fallbacks and other things the user has to know.
        usage: code that runs the files in the place that they were written for.
        next_command: a command to copy.
        command: the command line that was run.
        head: what the outputs are: ``"classes"``, several ``"labels"``, or ``"values"``, which are numbers;
            ``"outputs"`` where there are several of their own kinds.
        outputs: each of several outputs, judged by itself; empty for one.
        tool_version: this project's version.
        created: time in ISO 8601, if it is to be shown.
    """

    schema_version: int = SCHEMA_VERSION
    verdict: Verdict
    model: ModelInfo
    data: DataInfo
    reference: ReferenceInfo
    artifacts: tuple[ArtifactResult, ...]
    environment: Environment
    timings_s: dict[str, float] = field(default_factory=dict)
    thresholds: Thresholds | None = None
    findings: tuple[Finding, ...] = ()
    pairs: tuple[Pair, ...] = ()
    devices: tuple[OnDevice, ...] = ()
    gaps: tuple[Gap, ...] = ()
    history: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    not_checked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    usage: tuple[Usage, ...] = ()
    next_command: str | None = None
    command: str | None = None
    head: str = "classes"
    outputs: tuple[OutputResult, ...] = ()
    tool_version: str | None = None
    created: str | None = None

    def _check(self) -> None:
        if self.schema_version != SCHEMA_VERSION:
            raise InputError(
                f"schema_version: expected {SCHEMA_VERSION}, found {self.schema_version}. "
                "Update mnist-export to read this report."
            )
        if self.verdict is Verdict.PASS and (
            not self.artifacts or any(a.verdict is Verdict.FAIL for a in self.artifacts)
        ):
            raise InputError(
                "verdict: expected 'fail', as an artifact fails or there is none to judge, found 'pass'."
            )
        if self.verdict is Verdict.PASS and any(row.verdict is DeviceVerdict.FAIL for row in self.devices):
            raise InputError("verdict: expected 'fail', as an artifact fails on a device, found 'pass'.")

    def to_json(self) -> str:
        """JSON text, indented, keys in the fields' order, ASCII, with a final newline."""
        return encode_json(self)

    @classmethod
    def from_json(cls, text: str | bytes, *, name: str = "report.json") -> Report:
        """Read a report.

        Args:
            text: what `to_json` gave.
            name: the file's name, for error messages.

        Raises:
            InputError: not JSON, or not a whole report of schema version 1.
        """
        return decode_json(text, cls, name=name)

    @classmethod
    def load(cls, path: Path) -> Report:
        """Read a report from a file.

        Raises:
            InputError: the file is missing, unreadable, too large or damaged.
        """
        try:
            size = path.stat().st_size
            if size > MAX_REPORT_BYTES:
                raise InputError(
                    f"{path}: expected a report of at most {MAX_REPORT_BYTES} bytes, found {size}."
                )
            text = path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read the report {path}: {error.strerror or error}.") from error
        return cls.from_json(text, name=str(path))
