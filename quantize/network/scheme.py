"""What a quantization is asked to do, and what it gives: one set of integers for every format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph
from mnist_export.core.kinds import Precision
from mnist_export.core.parameters import parameter
from mnist_export.core.pixel_rules import ChannelRule
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.ranges.calibration_check import ScaleMovement


@dataclass(frozen=True, kw_only=True)
class SchemeConfig:
    """How to turn a float graph into an artifact's numbers.

    Attributes:
        precision: the number format of weights and activations.
        input_range: what pixel values 0 and 255 become for the model.
        calibration_method: name in the registry of `quantize.ranges.calibration`.
        per_channel: one weight scale an output channel (else one a tensor) for convolutions.
        per_channel_dense: the same for fully connected layers.
        symmetric: activations with zero point 0 (int8 -127..127), for targets that need it.
        reduce_range: weights in 7 bits, so that pairs of products fit 16 bits on CPUs without VNNI.
        keep_float: layer names, or globs of them, that stay in float32.
        improvements: names in the registries of `quantize.improving.improve`, in whose order they run.
    """

    precision: Precision = Precision.INT8
    input_range: InputRange = field(default_factory=InputRange)
    calibration_method: str = "minmax"
    per_channel: bool = True
    per_channel_dense: bool = True
    symmetric: bool = False
    reduce_range: bool = False
    keep_float: tuple[str, ...] = ()
    improvements: tuple[str, ...] = ()

    def options(self) -> dict[str, str]:
        """What differs from the defaults, as text, for a manifest."""
        found = {
            "calibration_method": self.calibration_method,
            "per_channel": str(self.per_channel).lower(),
            "per_channel_dense": str(self.per_channel_dense).lower(),
            "symmetric": str(self.symmetric).lower(),
            "reduce_range": str(self.reduce_range).lower(),
            "keep_float": ",".join(self.keep_float),
            "improvements": ",".join(self.improvements),
        }
        defaults = {
            "calibration_method": "minmax",
            "per_channel": "true",
            "per_channel_dense": "true",
            "symmetric": "false",
            "reduce_range": "false",
            "keep_float": "",
            "improvements": "",
        }
        return {name: text for name, text in found.items() if text != defaults[name]}

    def __post_init__(self) -> None:
        """Refuse combinations that no scheme carries out."""
        if self.keep_float and self.precision not in {Precision.INT8, Precision.INT16X8}:
            raise InputError(
                f"`keep_float`: expected precision int8 or int16x8, found {self.precision}. "
                "Leave `keep_float` out, or quantize with `int8=True`."
            )
        if self.improvements and self.precision != Precision.INT8:
            raise InputError(
                f"{parameter(self.improvements[0])}: expected precision int8, found {self.precision}. "
                f"Leave {parameter(self.improvements[0])} out, or quantize with `int8=True`."
            )
        if self.precision == Precision.INT16X8 and self.calibration_method in {"entropy", "mse"}:
            raise InputError(
                f'`calibration_method="{self.calibration_method}"`: expected precision int8, whose 256 codes '
                "it weighs, found int16x8. Use minmax or percentile with int16x8."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class QuantizedModel:
    """One quantized (or float) network: what every exporter writes.

    Attributes:
        graph: the network; its quantized tensors hold the integers. Input and output carry the
            scheme's own types (int8 for int8 and int16x8's weights), whatever a file's I/O type.
        precision: the number format.
        variant: what distinguishes it from the plain scheme, such as ``"qat"``, or ``""``.
        input_range: what pixel values 0 and 255 become for the graph.
        calibration_images: how many images set the ranges; 0 where none were needed.
        notes: what the user should know, in sentences.
        saturation: share of calibration values outside the range, by activation name.
        keeps_float: whether layers were left in float on request.
        options: what else the scheme was told, as text, for the manifest.
        source: the float network that the integers were rounded from; None where there is none.
        movement: how far the ranges of two halves of the calibration images are apart; None where nothing was
            calibrated.
        rewrites: names of the rewrites that gave the graph its form, in their order; see
            `quantize.rewrites`.
        preprocessing: the model's pixel rule, where the graph computes it; `input_range` is then the graph's.
    """

    graph: Graph
    precision: Precision
    variant: str = ""
    input_range: InputRange = field(default_factory=InputRange)
    calibration_images: int = 0
    notes: tuple[str, ...] = ()
    saturation: Mapping[str, float] = field(default_factory=dict)
    keeps_float: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    source: Graph | None = None
    movement: ScaleMovement | None = None
    rewrites: tuple[str, ...] = ()
    preprocessing: ChannelRule | None = None

    def pixel_rule(self, io: str) -> str:
        """How a pixel becomes what an input tensor of type ``io`` takes, in a sentence."""
        rule = self.input_range.rule(io)
        return rule if self.preprocessing is None else self.preprocessing.inside(rule)

    @property
    def input_quant(self) -> QuantParams | None:
        """Scale and zero point of the network's input, None for float."""
        return self.graph.tensors[self.graph.inputs[0]].quant

    @property
    def output_quant(self) -> QuantParams | None:
        """Scale and zero point of the logits, None for float."""
        return self.graph.tensors[self.graph.outputs[0]].quant
