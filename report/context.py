"""The parts of a report that describe its circumstances: model, data, machine, thresholds, findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mnist_export.core.errors import InputError
from mnist_export.report.codec import Record
from mnist_export.report.parts import Interval, check_interval


@dataclass(frozen=True, kw_only=True)
class ModelInfo(Record):
    """The model that was exported.

    Attributes:
        name: such as ``"lenet5"``.
        source: where it came from: ``"shipped"``, ``"file"``, ``"trained"``, ``"golden"``.
        parameters: number of weights.
        macs: multiply-accumulates for one image.
        path: its file, if there is one.
        sha256: hex hash of that file.
        framework: such as ``"keras"``.
        input_shape: without the batch, such as (28, 28, 1).
        input_range: what pixel values 0 and 255 become for the model; with `preprocessing` the least and the
            largest value that a pixel becomes.
        preprocessing: the rule by channel that pixels become the model's input by, as a formula.
        notes: what was changed on loading, such as a softmax that was cut off.
    """

    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("parameters", "macs")

    name: str
    source: str
    parameters: int | None = None
    macs: int | None = None
    path: str | None = None
    sha256: str | None = None
    framework: str | None = None
    input_shape: tuple[int, ...] | None = None
    input_range: Interval | None = None
    preprocessing: str | None = None
    notes: tuple[str, ...] = ()

    def _check(self) -> None:
        check_interval(self.input_range, "ModelInfo.input_range")


@dataclass(frozen=True, kw_only=True)
class DataInfo(Record):
    """The data that the artifacts were judged on.

    Attributes:
        name: such as ``"mnist"``.
        images: number of test images compared.
        calibration_images: number of training images used for calibration.
        source: where it was found, in words.
        sha256: hex hash of the compared images.
        class_names: in the order of the logits.
        notes: such as that MNIST could not be had and digits were taken.
    """

    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("images", "calibration_images")

    name: str
    images: int
    calibration_images: int = 0
    source: str | None = None
    sha256: str | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EnvironmentInfo(Record):
    """The machine and the versions that the figures were measured with.

    ``timing`` says how the models shared the machine while latency was measured, such as ``in one process``.
    """

    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("threads", "cores", "memory_bytes")

    cpu: str
    threads: int
    versions: dict[str, str]
    cores: int | None = None
    memory_bytes: int | None = None
    system: str | None = None
    instruction_sets: tuple[str, ...] = ()
    timing: str | None = None


@dataclass(frozen=True, kw_only=True)
class Thresholds(Record):
    """What the verdict was taken against: percentage points, a fraction of 1, and units of the values."""

    FRACTIONS: ClassVar[tuple[str, ...]] = ("min_agreement",)

    max_drop_pp: float | None = None
    min_agreement: float | None = None
    max_error: float | None = None


@dataclass(frozen=True, kw_only=True)
class Finding(Record):
    """Something calibration or loading noticed; ``level`` is ``"info"`` or ``"warning"``."""

    text: str
    level: str = "info"
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Gap(Record):
    """One step of the way from the float model to a runtime, such as float to fake-quant."""

    FRACTIONS: ClassVar[tuple[str, ...]] = ("top1", "agreement")

    name: str
    top1: float | None = None
    drop_pp: float | None = None
    agreement: float | None = None
    max_abs_error: float | None = None
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class DeviceInfo(Record):
    """One file on one device, compared with the file's own runtime on this machine.

    Attributes:
        device: its name, such as ``"tflm"``.
        file: name of the file.
        verdict: ``"pass"``, ``"fail"``, ``"compiled"`` (not run) or ``"not run"``.
        why: one sentence.
        images: how many were compared; 0 where the device did not run the file.
        values: outputs compared.
        differing: how many of them differ; None where the device did not run the file.
        largest: largest difference, steps of an integer output, else real units.
        labels_differ: images with another answer.
        top1: on the device.
        drop_pp: percentage points, reference minus device.
        agreement: share of images with the reference's answer.
        arena_bytes: working memory, as the device reports it.
        latency_us: of one image by the device's own clock.
        figures: what a compiler says of the file.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("top1", "agreement")
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("images", "values", "arena_bytes", "latency_us")

    device: str
    file: str
    verdict: str
    why: str = ""
    images: int = 0
    values: int = 0
    differing: int | None = None
    largest: float | None = None
    labels_differ: int | None = None
    top1: float | None = None
    drop_pp: float | None = None
    agreement: float | None = None
    arena_bytes: int | None = None
    latency_us: float | None = None
    figures: dict[str, str] = field(default_factory=dict)

    def _check(self) -> None:
        known = ("pass", "fail", "compiled", "not run")
        if self.verdict not in known:
            raise InputError(
                f"DeviceInfo.verdict: expected one of {', '.join(known)}, found '{self.verdict}'."
            )
