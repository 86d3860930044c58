"""What ``target`` chooses where the other options leave it open, and what it refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mnist_export.core.errors import InputError
from mnist_export.core.parameters import parameter
from mnist_export.core.registry import unknown_name
from mnist_export.pipeline.jobs.options import Options, default_precision

if TYPE_CHECKING:
    from mnist_export.export.targets import Deployment

DEFAULT_FORMAT = "tflite"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What files are to be like.

    Attributes:
        formats: what to write.
        precision: of weights and activations.
        io: type of integer files' inputs and outputs; None takes each format's own.
        form: name of the form of int8 graphs; None takes each format's own.
        deployment: the place that the target names; None where it names a form alone.
    """

    formats: tuple[str, ...]
    precision: str
    io: str | None
    form: str | None
    deployment: Deployment | None


def choose(arguments: Options) -> Chosen:
    """Fill in what the options leave open.

    Raises:
        InputError: an unknown target, format or precision, or one that the target does not run.
    """
    from mnist_export.core.kinds import Precision
    from mnist_export.export import EXPORTERS
    from mnist_export.export.targets import DEPLOYMENTS
    from mnist_export.quantize.rewrites.target import TARGETS, Target

    name = arguments.target
    if name is not None and name not in TARGETS and name not in DEPLOYMENTS:
        raise unknown_name("target", name, [*TARGETS, *DEPLOYMENTS])
    place = DEPLOYMENTS.get(name) if name in DEPLOYMENTS else None
    if arguments.no_rewrites and place is None and name not in {None, Target.PORTABLE}:
        raise InputError(
            f"{parameter('no_rewrites')}: expected no {parameter('target')} or "
            f"{parameter('target', 'portable')}, found {parameter('target', name)}. Leave one of them out."
        )
    formats = _formats(arguments.format, place)
    for item in formats or ("",):
        if item not in EXPORTERS:
            raise unknown_name("format", item, EXPORTERS)
    precision = "int8" if arguments.int8 else arguments.precision
    if precision is None:
        precision = default_precision(arguments)
        if place is not None and place.precision is not None and precision == "float32":
            precision = place.precision
    if precision not in set(Precision):
        raise unknown_name("precision", precision, Precision)
    io = arguments.io
    if io is not None and io not in {"int8", "uint8", "float32", "int16"}:
        raise unknown_name("`io` type", io, ["int8", "uint8", "float32"])
    if place is None:
        return Chosen(formats=formats, precision=precision, io=io, form=name, deployment=None)
    _require("formats", formats, place.reads, str(name))
    _require("precision", (precision,), place.precisions, str(name))
    if io is not None:
        _require("io", (io,), place.ios, str(name))
    elif precision in {"int8", "int16x8"}:
        io = place.io
    return Chosen(formats=formats, precision=precision, io=io, form=place.form, deployment=place)


def _formats(given: str | None, place: Deployment | None) -> tuple[str, ...]:
    if given is None:
        return place.formats if place is not None else (DEFAULT_FORMAT,)
    return tuple(dict.fromkeys(word.strip() for word in given.split(",") if word.strip()))


def _require(option: str, found: tuple[str, ...], known: tuple[str, ...], target: str) -> None:
    wrong = [item for item in found if item not in known]
    if wrong:
        raise InputError(
            f"{parameter('target', target)}: expected {parameter(option)} of {', '.join(known)}, found "
            f"{', '.join(wrong)}. Leave {parameter(option)} out, or {parameter('target')}."
        )
