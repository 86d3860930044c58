"""The parts of a report that describe its circumstances: model, data, findings, gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnist_export.core.record import Interval, Record, check_interval


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
