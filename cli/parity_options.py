"""Options and steps that the subcommands of ``mnist-parity`` share."""

from __future__ import annotations

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.cli.console import Console
from mnist_export.cli.export_options import add_model_code_options, add_pixel_options
from mnist_export.core.errors import InputError

if TYPE_CHECKING:
    from mnist_export.core.pixel_rules import PixelRule
    from mnist_export.data import Dataset
    from mnist_export.models.foreign.beside import Beside
    from mnist_export.parity.opening import LoadData, Opening
    from mnist_export.runtime.runners.runner import Runner


def add_model_options(parser: argparse.ArgumentParser, *, runs: Any = None, models: Any = None) -> None:
    """Add what says how models are opened and on which data.

    Args:
        parser: of the subcommand.
        runs: the group of what says how files are run; None is the parser's own options.
        models: the group of what says what pixels and models are; None is the parser's own options.
    """
    runs, models = runs or parser, models or parser
    parser.add_argument(
        "--data",
        metavar="D",
        help="auto, mnist, fashion-mnist, digits, or a path (default: the recording's own, else auto)",
    )
    parser.add_argument("--images", type=int, metavar="N", help="only the first N test images")
    runs.add_argument("--threads", type=int, default=1, metavar="N", help="threads an inference (default 1)")
    runs.add_argument(
        "--kernels",
        default="default",
        metavar="K",
        help="LiteRT: default, xnnpack, builtin, reference; ONNX Runtime: default, all, extended, basic, "
        "disabled; A,B takes A for the reference and B for the candidates",
    )
    parser.add_argument(
        "--input-range",
        metavar="LO,HI",
        help="what pixels 0 and 255 become for the model (default: the files' own, else 0,1)",
    )
    add_pixel_options(models)
    models.add_argument(
        "--resize",
        default="bilinear",
        metavar="R",
        help="how pictures are brought to the model's size: bilinear (default), area, nearest, crop, pad",
    )
    models.add_argument(
        "--trust",
        action="store_true",
        help="run code that comes with the models or the data (SavedModel, --custom, --data "
        "FILE.py:function), and files without a trial run first",
    )
    add_model_code_options(models)


def opening_of(arguments: argparse.Namespace, console: Console) -> Opening:
    """How models are opened, and what their outputs are said to be."""
    from mnist_export.models.thresholds import parse_threshold
    from mnist_export.parity.choosing import stated_head, stated_limit
    from mnist_export.parity.opening import Opening

    theirs, ours = sides_of(arguments)
    return Opening(
        threads=arguments.threads,
        kernels=(theirs.kernels, ours.kernels),
        input_range=input_range_of(arguments),
        trust=arguments.trust,
        beside=beside_of(arguments),
        head=stated_head(arguments.head),
        threshold=None if arguments.threshold is None else parse_threshold(arguments.threshold),
        max_error=stated_limit(getattr(arguments, "max_error", None)),
        notify=console.note,
    )


def loader_of(arguments: argparse.Namespace, console: Console) -> LoadData:
    """What gives the data once it is known what the models take."""
    from mnist_export.pipeline.comparing import data_loader

    return data_loader(
        arguments.data,
        arguments.images,
        console,
        trust=arguments.trust,
        head=arguments.head,
        resize=arguments.resize,
    )


def input_range_of(arguments: argparse.Namespace) -> PixelRule | None:
    """Read the options that state a pixel rule."""
    from mnist_export.core.pixel_options import PIXEL_OPTIONS, stated_rule

    return stated_rule(**{name: getattr(arguments, name) for name in PIXEL_OPTIONS})


def existing(paths: Sequence[str]) -> None:
    """Refuse paths that are not there before any work is done."""
    for path in paths:
        if not Path(path).exists():
            raise InputError(f"{path}: no such file. Check the path.")


def load_data(
    arguments: argparse.Namespace,
    console: Console,
    *,
    recorded: str | None = None,
    input_shape: tuple[int, ...] | None = None,
) -> Dataset:
    """Load the data that ``--data`` or a recording names.

    Args:
        arguments: the parsed command line.
        console: told what was chosen.
        recorded: the data set's name in a golden file.
        input_shape: of one image as the reference takes it: pictures of a folder are read so.
    """
    import dataclasses

    from mnist_export.data import load_dataset
    from mnist_export.data.picture_options import Resize, pictures_for

    pictures = pictures_for(input_shape, Resize.parse(arguments.resize))
    dataset = load_dataset(
        arguments.data or recorded or "auto", notify=console.warn, pictures=pictures, trust=arguments.trust
    )
    if arguments.images is None:
        return dataset
    if arguments.images < 1:
        raise InputError(f"--images: expected at least 1, found {arguments.images}.")
    return dataclasses.replace(dataset, test=dataset.test.first(arguments.images))


def sides_of(arguments: argparse.Namespace) -> tuple[argparse.Namespace, argparse.Namespace]:
    """Split ``--kernels A,B``: A for the reference, B for the candidates; one name is for both."""
    names = arguments.kernels.split(",")
    if len(names) > 2:
        raise InputError(f"--kernels: expected one or two names, found '{arguments.kernels}'.")
    sides = copy.copy(arguments), copy.copy(arguments)
    for side, name in zip(sides, (names[0], names[-1]), strict=True):
        side.kernels = name
    return sides


def open_kernels(path: str, arguments: argparse.Namespace, *, rule: PixelRule | None = None) -> Runner:
    """Open a .tflite, .onnx or golden file with the options of the command line.

    ``--kernels`` applies to the runtime that knows the name; the other one keeps its default. ``rule`` is
    what pixels become where the options do not say it.
    """
    from mnist_export.parity.opening import kernels_for
    from mnist_export.runtime.runners.opening import open_runner

    return open_runner(
        path,
        threads=arguments.threads,
        kernels=kernels_for(Path(path), arguments.kernels),
        input_range=rule or input_range_of(arguments),
        trust=arguments.trust,
        beside=beside_of(arguments),
    )


def beside_of(arguments: argparse.Namespace) -> Beside:
    """What was given beside the Keras model."""
    from mnist_export.models.foreign.beside import Beside

    return Beside(
        trust=arguments.trust,
        custom=Path(arguments.custom) if arguments.custom is not None else None,
        architecture=arguments.architecture,
    )


def open_original(
    spec: str, dataset: Dataset | None, arguments: argparse.Namespace, console: Console
) -> Runner:
    """Open the reference: a file of any kind, or the name of an architecture with shipped weights.

    Args:
        spec: path or name.
        dataset: what a named architecture's weights are for.
        arguments: the parsed command line.
        console: told what is loaded.
    """
    if Path(spec).exists():
        return open_kernels(spec, arguments)
    if Path(spec).suffix or "/" in spec:
        raise InputError(f"{spec}: no such file. Check the path.")
    from mnist_export.runtime.runners.keras import open_keras

    options: dict[str, Any] = {"threads": arguments.threads, "input_range": input_range_of(arguments)}
    return open_keras(spec, dataset=dataset, notify=console.note, **options)
