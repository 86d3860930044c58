"""``mnist-parity record``: the original's answers in a golden file."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.cli.console import EXIT_PASS, Console, emit, emit_json
from mnist_export.cli.export_options import add_head_options
from mnist_export.cli.parity_options import add_model_options, loader_of, opening_of
from mnist_export.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mnist_export.data import Dataset
    from mnist_export.runtime.runners.golden import Golden
    from mnist_export.runtime.runners.runner import Runner

_EXAMPLES = """examples:
  mnist-parity record lenet5.keras -o lenet5.golden.npz
  KERAS_BACKEND=jax mnist-parity record lenet5.keras --data mnist -o lenet5.golden.npz
  mnist-parity record lenet5.int8.tflite --integers -o integers.npz      # the file's own integers
  mnist-parity record integers.npz --integers --format c -o golden.h     # the same for a microcontroller
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``record``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("model", metavar="MODEL", help=".keras, .h5, SavedModel, .tflite, .onnx, or a name")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="GOLDEN.npz", help="file to write"
    )
    parser.add_argument(
        "--integers",
        action="store_true",
        help="keep the own output integers of a .tflite, .onnx or .c on --images N images (64), chosen to "
        "show changes of its weights",
    )
    parser.add_argument(
        "--format",
        default="npz",
        metavar="F",
        help="of --integers: npz (default), or c: arrays and a loop for a microcontroller, GOLDEN.h and .c",
    )
    add_model_options(parser)
    add_head_options(parser, limit=False)
    parser.add_argument("--layers", action="store_true", help="record activations of the first images too")
    parser.add_argument("--no-latency", action="store_true", help="record answers only")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``record``; returns 0."""
    from mnist_export.parity.opening import open_one
    from mnist_export.parity.recording import record

    output: Path = arguments.output
    if arguments.integers:
        from mnist_export.cli.parity_integers import record_golden

        return record_golden(arguments, console)
    if arguments.format != "npz":
        raise InputError(
            f"--format: is of a golden of integers; found {arguments.format} without --integers."
        )
    if output.suffix != ".npz":
        raise InputError(f"-o: expected a name that ends in .npz, found '{output}'.")
    if Path(arguments.model).exists() and output.exists() and output.samefile(arguments.model):
        raise InputError(f"-o: '{output}' is the model itself. Choose another name.")
    if (
        arguments.data
        and Path(arguments.data).exists()
        and output.exists()
        and output.samefile(arguments.data)
    ):
        raise InputError(f"-o: '{output}' is the data itself. Choose another name.")
    with contextlib.ExitStack() as stack:
        how = opening_of(arguments, console)
        runner, dataset = open_one(stack, arguments.model, loader_of(arguments, console), how)
        console.note(f"{runner.label}: {len(dataset.test):,} images on {runner.name} ({runner.device})")
        layers = _layers(runner, dataset) if arguments.layers else None
        golden = record(
            runner,
            dataset,
            data=arguments.data if arguments.data not in (None, "auto") else dataset.name,
            timed=not arguments.no_latency,
            layers=layers,
            parameters=getattr(runner, "parameters", 0),
            macs=getattr(runner, "macs", 0),
            asked=how.head,
        )
        for note in runner.notes:
            console.note(f"note: {note}")
    golden.save(output)
    if arguments.json:
        emit_json(golden.meta.to_json())
    else:
        emit(f"{output}: {len(dataset.test):,} answers, {_own(golden, dataset)}, {golden.meta.device}")
    return EXIT_PASS


def _own(golden: Golden, dataset: Dataset) -> str:
    """How good the answers are, in the terms of what they are."""
    from mnist_export.models.judging import CLASSES
    from mnist_export.parity.heads import Head, own_figures

    if golden.meta.head == CLASSES:
        return f"top-1 {float((golden.logits.argmax(axis=1) == dataset.test.labels).mean()):.2%}"
    head = Head(kind=golden.meta.head, threshold=golden.meta.threshold or (0.5,))
    own = own_figures(head, golden.meta.model, golden.logits, dataset.test)
    if own.labels is not None:
        return f"every label right on {own.labels.exact_match:.2%}"
    return f"RMSE {own.values.rmse:.4g} against the data" if own.values is not None else "numbers"


def _layers(runner: Runner, dataset: Dataset) -> dict[str, npt.NDArray[np.float32]]:
    from mnist_export.parity.layers.activations import activations_of

    found = activations_of(runner, dataset.test.images)
    return {activation.name: activation.values for activation in found}
