"""What one export is asked to do, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.core.kinds import Format, IoType
from mnist_export.pipeline.jobs.options import QuantizeOptions

if TYPE_CHECKING:
    from mnist_export.core.pixel_rules import PixelRule
    from mnist_export.data import Dataset
    from mnist_export.export.targets import Deployment
    from mnist_export.models.foreign.beside import Beside
    from mnist_export.parity.comparison import Thresholds
    from mnist_export.quantize import SchemeConfig
    from mnist_export.quantize.rewrites import Target


@dataclass(frozen=True, kw_only=True)
class Job:
    """One export, checked.

    Attributes:
        model: an architecture's name or a model file.
        formats: what to write, in this order.
        scheme: the number format and how to get there.
        data: what ``--data`` takes, or a data set in memory.
        output: the folder that files go to.
        input_range: how pixels become what the model takes.
        io: type of integer files' inputs and outputs; None takes each format's own.
        calibration_samples: how many training images set the ranges.
        seed: chooses the calibration images.
        thresholds: what the verdict is measured against.
        range_stated: whether the user stated `input_range`: a check that disagrees then only warns.
        full_integer: refuse layers that have no integer form; otherwise they stay in float.
        resize: how pictures of a folder are brought to the size that the model takes.
        head: what the model's outputs are, see `models.judging.HEADS`.
        max_error: largest allowed error of outputs that are numbers; None is of RMSE, see `parity.values`.
        threshold: of a model's sigmoids: from which probability on a label, or the second of two classes, is
            taken, one or one a label; None is 0.5.
        output_name: of a model of several outputs: only this one; None takes all.
        threads: threads of one inference.
        max_memory: GiB that the run may take; None asks the system what is free.
        trust: code that comes with the model or the data may run.
        beside: the code of the model's own layers, or the architecture of a file of weights.
        until: export the sub-model that ends at this layer.
        target: the runtime whose form files get; None takes each format's own.
        place: the name of the place that files go to; None where none was named.
        deployment: what that place asks of files.
        opset: ONNX's version of operators in .onnx files; None takes the writer's own.
        prepare: rewrite the float network before quantization.
        on: devices that the files are checked on too, separated by commas; ``ready`` for all that are,
            ``none`` for none; None is none, but for an exact export all that are ready.
        extra: training, search and diagnosis.
        command: the command line, for the report.
        options: every option of the ways to quantize, as it was given.
    """

    model: str
    formats: tuple[Format, ...]
    scheme: SchemeConfig
    data: str | Dataset
    output: Path
    input_range: PixelRule
    io: IoType | None
    calibration_samples: int
    seed: int
    thresholds: Thresholds
    range_stated: bool = False
    full_integer: bool = False
    resize: str = "bilinear"
    head: str = "auto"
    max_error: float | None = None
    threshold: tuple[float, ...] | None = None
    output_name: str | None = None
    threads: int = 1
    max_memory: float | None = None
    trust: bool = False
    beside: Beside | None = None
    until: str | None = None
    target: Target | None = None
    place: str | None = None
    deployment: Deployment | None = None
    opset: int | None = None
    prepare: bool = True
    on: str | None = None
    extra: QuantizeOptions = field(default_factory=QuantizeOptions)
    command: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def data_path(self) -> str | None:
        """What ``data`` said; None for a data set in memory."""
        return self.data if isinstance(self.data, str) else None
