"""``mnist-export``: from a Keras model to verified TFLite and ONNX files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mnist_export.cli.common import (
    EXIT_PASS,
    EXIT_VERDICT,
    CommandParser,
    Console,
    add_output_options,
    emit,
    run_command,
)
from mnist_export.cli.export_options import add_quantize_options

_EXAMPLES = """examples:
  mnist-export --format tflite --int8                       LeNet-5, shipped weights
  mnist-export --format tflite,onnx --int8 --data mnist -o exports
  mnist-export mynet.keras --format onnx --precision float32
  mnist-export mynet.h5 --format tflite,onnx --int8 --input-range -1,1 --data my-data.npz
  mnist-export custom2 --format tflite --int8 --max-drop 0.2 --min-agreement 99.5

exit codes: 0 all verdicts pass; 1 a verdict fails (files and report are still written);
2 bad usage or input; 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line; imports nothing heavy."""
    parser = CommandParser(
        prog="mnist-export",
        description="Quantize a Keras image classifier once, write it as TFLite and ONNX, and check that the "
        "files still give the original's answers.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("positional_model", nargs="?", metavar="MODEL", help="the same as --model")
    parser.add_argument(
        "-m", "--model", default=None, metavar="MODEL",
        help="an architecture's name (default lenet5), or a .keras, .h5 or SavedModel",
    )  # fmt: skip
    parser.add_argument(
        "--format", default="tflite", metavar="F[,F]", help="tflite, onnx, c (default tflite)"
    )
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument(
        "--precision", default=None, metavar="P",
        help="float32 (default), float16, dynamic, int8 or int16x8",
    )  # fmt: skip
    precision.add_argument("--int8", action="store_true", help="the same as --precision int8")
    parser.add_argument(
        "--io", metavar="T",
        help="type of an integer file's input and output: int8, uint8 or float32 "
        "(default int8 for TFLite, uint8 for ONNX)",
    )  # fmt: skip
    parser.add_argument(
        "--data", default="auto", metavar="D",
        help="auto (default), mnist, fashion-mnist, digits, or a path (.npz, IDX files, images by class)",
    )  # fmt: skip
    parser.add_argument(
        "--input-range", default=None, metavar="LO,HI",
        help="what pixel values 0 and 255 become for the model (default 0,1)",
    )  # fmt: skip
    parser.add_argument(
        "--resize", default="bilinear", metavar="R",
        help="how pictures are brought to the model's size: bilinear (default), area, nearest, crop, pad",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", default="exports", type=Path, metavar="DIR", help="output folder (default exports)"
    )
    _add_quantization(parser)
    _add_checks(parser)
    parser.add_argument(
        "--until",
        metavar="LAYER",
        help="export the sub-model that ends at this layer (names: mnist-train --summary)",
    )
    _add_rewrites(parser)
    parser.add_argument("--trust", action="store_true", help="open a SavedModel, which can run code")
    add_output_options(parser)
    return parser


def _add_quantization(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("quantization")
    group.add_argument(
        "--calibration-samples", type=int, default=300, metavar="N",
        help="training images that set the ranges, stratified by class (default 300)",
    )  # fmt: skip
    group.add_argument(
        "--calibration-method", default="minmax", metavar="M", help="how ranges are chosen (default minmax)"
    )
    group.add_argument("--seed", type=int, default=0, help="chooses the calibration images (default 0)")
    group.add_argument(
        "--per-tensor", action="store_true", help="one weight scale a layer, not one a channel"
    )
    group.add_argument(
        "--per-tensor-dense", action="store_true", help="the same for dense layers only, as some targets need"
    )
    group.add_argument("--symmetric", action="store_true", help="activations with zero point 0")
    group.add_argument(
        "--reduce-range", action="store_true", help="7-bit weights, for CPUs without VNNI instructions"
    )
    group.add_argument(
        "--keep-float", nargs="+", default=[], metavar="LAYER", help="layers (or globs) that stay in float"
    )
    group.add_argument(
        "--full-integer", action="store_true",
        help="refuse layers that have no integer form (otherwise they stay in float)",
    )  # fmt: skip
    add_quantize_options(group)


def _add_rewrites(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("rewrites")
    group.add_argument(
        "--target", default=None, metavar="T",
        help="form of int8 files: native (default: each for its own runtime), auto (measured on this "
        "machine), litert, onnxruntime, portable (the plain form)",
    )  # fmt: skip
    group.add_argument(
        "--no-rewrites", action="store_true", help="the model's operators as the converter gives them"
    )


def _add_checks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("checks")
    group.add_argument("--max-drop", metavar="PP", help="largest loss of top-1 in percentage points (0.5)")
    group.add_argument("--min-agreement", metavar="PCT", help="smallest share of equal labels, percent (99)")
    group.add_argument("--threads", type=int, default=1, metavar="N", help="threads an inference (default 1)")
    group.add_argument(
        "--on", default=None, metavar="DEVICES",
        help="check the files on these devices too, such as tflm,cortex-a72 (mnist-parity devices); ready: "
        "all that are, the default of --exact; none",
    )  # fmt: skip
    group.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML for a CI service")
    group.add_argument("--summary", type=Path, metavar="FILE", help="append a Markdown summary")


def _model_of(arguments: argparse.Namespace) -> str:
    from mnist_export.core.errors import InputError

    given: list[str] = [name for name in (arguments.positional_model, arguments.model) if name is not None]
    if len(given) > 1:
        raise InputError(f"expected one model, found '{given[0]}' and -m {given[1]}. Leave one of them out.")
    return given[0] if given else "lenet5"


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mnist-export``.

    Args:
        argv: arguments without the program's name; None takes the command line's.

    Returns:
        The exit code of the contract.
    """
    words = list(sys.argv[1:] if argv is None else argv)

    def execute(arguments: argparse.Namespace, console: Console) -> int:
        import shlex

        from mnist_export.core.side_files import SideFiles
        from mnist_export.pipeline.export import run_job
        from mnist_export.pipeline.jobs.request import job_of

        arguments.model = _model_of(arguments)
        job = job_of(arguments, shlex.join(["mnist-export", *words]))
        side_files = SideFiles(junit=arguments.junit, summary=arguments.summary)
        report = run_job(job, console, side_files)
        if arguments.json:
            emit(report.to_json().rstrip("\n"))
        elif not arguments.quiet:
            from mnist_export.pipeline.reporting import report_path
            from mnist_export.report.markdown import console_summary

            emit(console_summary(report).rstrip("\n"))
            console.note(f"report: {report_path(report)}")
        return EXIT_PASS if report.verdict.value == "pass" else EXIT_VERDICT

    return run_command(build_parser(), words, execute)


if __name__ == "__main__":
    sys.exit(main())
