"""What ``mnist-export`` is asked to do about quantization beyond the plain scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mnist_export.core.parameters import parameter

if TYPE_CHECKING:
    from mnist_export.parity.comparison import Thresholds
    from mnist_export.quantize.network.scheme import SchemeConfig

DEFAULT_EPOCHS = 3
DEFAULT_DISTILLATION = 1.0  # `quantize.training.distillation.SHARE`, without its imports
Options = Any
"""An object with one attribute for each option: parsed arguments, or keywords of the Python interface."""

IMPROVEMENTS = ("equalize", "adaround", "bias-correction")


@dataclass(frozen=True, kw_only=True)
class QuantizeOptions:
    """The options of this module, checked.

    Attributes:
        qat_epochs: epochs of quantization-aware training, or None without it.
        epochs: epochs of each step of pruning and clustering.
        distillation: share of the training's loss that is the distance to the original's answers.
        sparsity: share of weights to prune, or None.
        clusters: distinct weights a layer, or None.
        auto: search for the smallest change that keeps ``--max-drop``.
        debug_layers: measure every layer's error.
        exact: the scheme under which every runtime computes the same integers.
    """

    qat_epochs: int | None = None
    epochs: int = DEFAULT_EPOCHS
    distillation: float = DEFAULT_DISTILLATION
    sparsity: float | None = None
    clusters: int | None = None
    auto: bool = False
    debug_layers: bool = False
    exact: bool = False

    @property
    def trains(self) -> bool:
        """Whether the model is trained on before it is exported."""
        return (
            (self.qat_epochs is not None and not self.exact)
            or self.sparsity is not None
            or self.clusters is not None
        )


def improvements_of(arguments: Options) -> tuple[str, ...]:
    """The improvements that were asked for, by their names in `quantize.improving.improve`."""
    return tuple(name for name in IMPROVEMENTS if getattr(arguments, name.replace("-", "_")))


def default_precision(arguments: Options) -> str:
    """int8 where an option only makes sense with it, else float32."""
    needs = arguments.qat is not None or arguments.auto or arguments.debug_layers or arguments.exact
    return "int8" if needs or improvements_of(arguments) else "float32"


def quantize_options_of(arguments: Options, scheme: SchemeConfig) -> QuantizeOptions:
    """Check the options against each other and against the scheme.

    Raises:
        InputError: numbers out of range, or options that exclude each other.
    """
    from mnist_export.core.errors import InputError
    from mnist_export.quantize.training.compress import CompressionConfig

    CompressionConfig(sparsity=arguments.sparsity, clusters=arguments.clusters)
    for name, value in (("qat", arguments.qat), ("tune_epochs", arguments.tune_epochs)):
        if value is not None and not 1 <= value <= 1000:
            raise InputError(
                f"{parameter(name)}: expected 1 to 1000 epochs, found {value}. "
                f"Try {parameter(name, DEFAULT_EPOCHS)}."
            )
    integer = str(scheme.precision) in {"int8", "int16x8"}
    for flag, given in (("`auto`", arguments.auto), ("`debug_layers`", arguments.debug_layers)):
        if given and not integer:
            raise InputError(
                f"{flag}: expected precision int8 or int16x8, found {scheme.precision}. Use `int8=True`."
            )
    _check_training(arguments)
    if arguments.exact:
        _check_exact(arguments, scheme)
    elif arguments.qat is not None:
        _check_qat(arguments, scheme)
    return QuantizeOptions(
        qat_epochs=arguments.qat,
        epochs=arguments.tune_epochs or arguments.qat or DEFAULT_EPOCHS,
        distillation=DEFAULT_DISTILLATION if arguments.distill is None else arguments.distill,
        sparsity=arguments.sparsity,
        clusters=arguments.clusters,
        auto=arguments.auto,
        debug_layers=arguments.debug_layers,
        exact=arguments.exact,
    )


def thresholds_for(arguments: Options, asked: Thresholds, options: QuantizeOptions) -> Thresholds:
    """What the verdict is measured against: without ``--min-agreement``, a trained network's drop alone.

    Training changes answers on purpose, right ones into wrong ones and the other way round; a network that
    became better must not fail for it.
    """
    if not options.trains or arguments.min_agreement is not None:
        return asked
    return replace(asked, min_agreement=0.0)


def _check_training(arguments: Options) -> None:
    from mnist_export.core.errors import InputError

    compresses = arguments.sparsity is not None or arguments.clusters is not None
    if arguments.tune_epochs is not None and not compresses:
        raise InputError(
            "`tune_epochs`: expected `sparsity` or `clusters`, whose training it is about, found neither. "
            "Give the epochs of `qat` with `qat=N`."
        )
    if arguments.distill is not None:
        if not compresses and (arguments.qat is None or arguments.exact):
            raise InputError(
                "`distill`: expected `qat`, `sparsity` or `clusters` (without `exact`), whose training it is "
                "about, found none. Leave it out."
            )
        if not 0.0 <= arguments.distill <= 1.0:
            raise InputError(
                "`distill`: expected a share from 0 (labels alone) to 1 (the original's answers alone), "
                f"found {arguments.distill:g}. Try `distill={DEFAULT_DISTILLATION:g}`."
            )
    if compresses and arguments.auto:
        raise InputError(
            "`auto`: expected no `sparsity` or `clusters` beside it, found one. Leave one of them out."
        )
    if arguments.until is not None and (compresses or arguments.auto or arguments.qat is not None):
        raise InputError(
            "`until`: expected no `qat`, `sparsity`, `clusters` or `auto` beside it, as a sub-model has no "
            "classes to judge it by. Leave one of them out."
        )


def _check_exact(arguments: Options, scheme: SchemeConfig) -> None:
    from mnist_export.core.errors import InputError

    if str(scheme.precision) != "int8":
        raise InputError(
            f"`exact`: expected precision int8, found {scheme.precision}. Use `exact=True` alone."
        )
    refused = {
        "`auto`": arguments.auto,
        "`debug_layers`": arguments.debug_layers,
        "`sparsity`": arguments.sparsity is not None,
        "`clusters`": arguments.clusters is not None,
        "`keep_float`": bool(scheme.keep_float),
        "`symmetric`": scheme.symmetric,
        "`calibration_method`": scheme.calibration_method != "minmax",
        **{parameter(name): name in scheme.improvements for name in IMPROVEMENTS},
    }
    given = [flag for flag, found in refused.items() if found]
    if given:
        raise InputError(
            f"`exact`: expected no {given[0]} beside it, as it chooses every scale and rounding itself. "
            f"Leave out {' and '.join(given)}, or `exact`."
        )


def _check_qat(arguments: Options, scheme: SchemeConfig) -> None:
    from mnist_export.core.errors import InputError

    if str(scheme.precision) != "int8":
        raise InputError(
            f"`qat`: expected precision int8, found {scheme.precision}. Use `int8=True` with `qat`."
        )
    refused = {
        "`auto`": arguments.auto,
        "`debug_layers`": arguments.debug_layers,
        "`keep_float`": bool(scheme.keep_float),
        "`symmetric`": scheme.symmetric,
        "`reduce_range`": scheme.reduce_range,
        "`per_tensor`": not scheme.per_channel,
        "`calibration_method`": scheme.calibration_method != "minmax",
        **{parameter(name): name in scheme.improvements for name in IMPROVEMENTS},
    }
    given = [flag for flag, found in refused.items() if found]
    if given:
        raise InputError(
            f"`qat`: expected no {given[0]} beside it, as training chooses the integers itself. Leave out "
            f"{' and '.join(given)}, or `qat`."
        )


def check_opset(opset: int | None, formats: Sequence[str]) -> None:
    """Refuse a version of ONNX's operators that is not written, or that no file of the run has.

    Raises:
        InputError: the message names the versions.
    """
    from mnist_export.core.errors import InputError
    from mnist_export.export.onnx_writer import IR_VERSIONS

    if opset is None:
        return
    least, most = min(IR_VERSIONS), max(IR_VERSIONS)
    if isinstance(opset, bool) or opset not in IR_VERSIONS:
        raise InputError(f"`opset`: expected a number from {least} to {most}, found {opset}.")
    if "onnx" not in formats:
        raise InputError(
            f"`opset={opset}`: expected onnx among the formats, found {', '.join(formats)}. "
            'Add it with `formats="onnx"`, or leave `opset` out.'
        )


def head_options(
    head: Any, max_error: Any, threshold: Any
) -> tuple[str, float | None, tuple[float, ...] | None]:
    """Check what the outputs are said to be, the limit of their errors, and the threshold of sigmoids.

    Raises:
        InputError: an unknown kind of outputs, a limit that is no number of 0 or more, or a threshold that
            is no probability.
    """
    from mnist_export.models.thresholds import parse_threshold
    from mnist_export.parity.choosing import stated_head, stated_limit

    cut = None if threshold is None else parse_threshold(threshold)
    return stated_head(head), stated_limit(max_error), cut
