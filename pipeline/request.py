"""From what a user asked for to a checked `Job`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

from mnist_export.core.errors import InputError
from mnist_export.core.registry import unknown_name
from mnist_export.pipeline.jobs.job import Job
from mnist_export.pipeline.jobs.options import (
    Options,
    check_opset,
    head_options,
    improvements_of,
    quantize_options_of,
    thresholds_for,
)
from mnist_export.pipeline.jobs.targets import choose
from mnist_export.pipeline.methods import method_options

_GENERAL: Final = {
    "model": "lenet5",
    "format": None,
    "precision": None,
    "int8": False,
    "io": None,
    "data": "auto",
    "input_range": None,
    "mean": None,
    "std": None,
    "channels": None,
    "preprocess": None,
    "resize": "bilinear",
    "output": Path("exports"),
    "seed": 0,
    "target": None,
    "opset": None,
    "no_rewrites": False,
    "max_drop": None,
    "min_agreement": None,
    "max_error": None,
    "threshold": None,
    "output_name": None,
    "head": "auto",
    "threads": 1,
    "max_memory": None,
    "until": None,
    "on": None,
    "trust": False,
    "custom": None,
    "architecture": None,
}


def defaults() -> dict[str, Any]:
    """Every option of an export and its default; those of a way to quantize come from its entry."""
    return {**_GENERAL, **{option.name: option.unset for option in method_options()}}


DEFAULTS: Final = MappingProxyType(defaults())
"""`defaults` of the ways to quantize that come with this package."""


def job_with(**options: Any) -> Job:
    """A checked job from some options; the others have their defaults.

    Args:
        options: names in `DEFAULTS`, with the values that the command line would give them.

    Raises:
        InputError: an unknown option, or a value that ``mnist-export`` would refuse.
    """
    known = defaults()
    for name in options:
        if name not in known:
            raise unknown_name("option", name, known)
    return job_of(SimpleNamespace(**{**known, **options}))


def job_of(arguments: Options, command: str = "") -> Job:
    """Check the options and turn them into a job.

    Args:
        arguments: one attribute for each option of ``mnist-export``.
        command: the command line, for the report; empty where there is none.

    Raises:
        InputError: an unknown format, precision or type, or a number out of its range.
    """
    from mnist_export.core.kinds import Format, IoType, Precision
    from mnist_export.core.pixel_options import PIXEL_OPTIONS, stated_rule
    from mnist_export.core.pixels import InputRange
    from mnist_export.data.picture_options import Resize
    from mnist_export.models.foreign.beside import Beside
    from mnist_export.parity.thresholds import thresholds_from
    from mnist_export.quantize.network.scheme import SchemeConfig
    from mnist_export.quantize.ranges.calibration import OBSERVERS
    from mnist_export.quantize.rewrites.target import Target

    chosen = choose(arguments)
    if arguments.calibration_method not in OBSERVERS:
        raise unknown_name("calibration method", arguments.calibration_method, OBSERVERS)
    for flag, value, least in (
        ("`calibration_samples`", arguments.calibration_samples, 1),
        ("`threads`", arguments.threads, 1),
        ("`seed`", arguments.seed, 0),
    ):
        if not least <= value <= 1_000_000:
            raise InputError(f"{flag}: expected a number from {least} to 1000000, found {value}.")
    if arguments.max_memory is not None and not 0 < arguments.max_memory < 1 << 20:
        raise InputError(
            f"`max_memory`: expected GiB above 0, found {arguments.max_memory:g}. Example: `max_memory=8`"
        )
    check_opset(arguments.opset, chosen.formats)
    head, max_error, threshold = head_options(arguments.head, arguments.max_error, arguments.threshold)
    form = "portable" if arguments.no_rewrites else chosen.form
    stated = stated_rule(**{name: getattr(arguments, name) for name in PIXEL_OPTIONS})
    pixels = stated or InputRange()
    job = Job(
        model=arguments.model,
        formats=tuple(Format(name) for name in chosen.formats),
        scheme=SchemeConfig(
            precision=Precision(chosen.precision),
            input_range=pixels if isinstance(pixels, InputRange) else InputRange(),
            calibration_method=arguments.calibration_method,
            per_channel=not arguments.per_tensor,
            per_channel_dense=not (arguments.per_tensor or arguments.per_tensor_dense),
            symmetric=arguments.symmetric,
            reduce_range=arguments.reduce_range,
            keep_float=tuple(arguments.keep_float),
            improvements=improvements_of(arguments),
        ),
        data=arguments.data,
        output=arguments.output,
        input_range=pixels,
        range_stated=stated is not None,
        full_integer=arguments.full_integer,
        resize=Resize.parse(arguments.resize),
        head=head,
        max_error=max_error,
        threshold=threshold,
        output_name=arguments.output_name,
        io=IoType(chosen.io) if chosen.io else None,
        calibration_samples=arguments.calibration_samples,
        seed=arguments.seed,
        thresholds=thresholds_from(
            config=None, max_drop=arguments.max_drop, min_agreement=arguments.min_agreement
        ),
        threads=arguments.threads,
        max_memory=arguments.max_memory,
        trust=arguments.trust,
        beside=Beside(
            trust=arguments.trust,
            custom=Path(arguments.custom) if arguments.custom is not None else None,
            architecture=arguments.architecture,
        ),
        until=arguments.until,
        on=arguments.on,
        target=Target(form) if form else None,
        deployment=chosen.deployment,
        place=arguments.target if chosen.deployment else None,
        opset=arguments.opset,
        prepare=not arguments.no_rewrites,
        command=command,
        options={name: _plain(getattr(arguments, name)) for name in defaults() if name not in _GENERAL},
    )
    extra = quantize_options_of(arguments, job.scheme)
    return replace(job, extra=extra, thresholds=thresholds_for(arguments, job.thresholds, extra))


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
