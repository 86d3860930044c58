"""``mnist-export``: from a Keras model to verified TFLite and ONNX files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_export.cli.common import add_output_options, run_command
from mnist_export.cli.console import EXIT_PASS, EXIT_VERDICT, Console, emit
from mnist_export.cli.export_options import (
    add_head_options,
    add_method_options,
    add_model_code_options,
    add_pixel_options,
)
from mnist_export.cli.parser import CommandParser, completes

_EXAMPLES = """examples:
  mnist-export --format tflite --int8                       LeNet-5, shipped weights
  mnist-export --format tflite,onnx --int8 --data mnist -o exports
  mnist-export mynet.keras --format onnx --precision float32
  mnist-export mynet.h5 --format tflite,onnx --int8 --input-range -1,1 --data my-data.npz
  mnist-export custom2 --format tflite --int8 --max-drop 0.2 --min-agreement 99.5
  mnist-export mynet.keras --target tflm                    int8 and the C++ for a microcontroller

exit codes: 0 all verdicts pass; 1 a verdict fails (files and report are still written);
2 bad usage or input; 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line; imports nothing heavy."""
    from mnist_export.core.kinds import Precision
    from mnist_export.data.registry import DATASETS
    from mnist_export.export import EXPORTERS
    from mnist_export.export.targets import DEPLOYMENTS
    from mnist_export.quantize.rewrites.target import TARGETS

    parser = CommandParser(
        prog="mnist-export",
        description="Quantize a Keras image classifier once, write it as TFLite and ONNX, and check that the "
        "files still give the original's answers.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model = parser.add_argument("positional_model", nargs="?", metavar="MODEL", help="the same as --model")
    completes(model, known=(), files=True)
    model = parser.add_argument(
        "-m", "--model", default=None, metavar="MODEL",
        help="an architecture's name (default lenet5), a .keras, .h5 or SavedModel, or a float .onnx or "
        ".tflite",
    )  # fmt: skip
    completes(model, files=True)
    formats = parser.add_argument(
        "--format",
        default=None,
        metavar="F[,F]",
        help=f"{', '.join(EXPORTERS)} (default tflite, or what --target asks for)",
    )
    completes(formats, known=tuple(EXPORTERS))
    either = parser.add_mutually_exclusive_group()
    precision = either.add_argument(
        "--precision", default=None, metavar="P",
        help="float32 (default), float16, dynamic, int8 or int16x8",
    )  # fmt: skip
    completes(precision, known=tuple(Precision))
    either.add_argument("--int8", action="store_true", help="the same as --precision int8")
    data = parser.add_argument(
        "--data", default="auto", metavar="D",
        help="auto (default), mnist, fashion-mnist, digits, a path (.npz, IDX files, images by class, a .csv "
        "or .jsonl of path and label), or FILE.py:function with --trust",
    )  # fmt: skip
    completes(data, known=("auto", *DATASETS))
    parser.add_argument(
        "--input-range", default=None, metavar="LO,HI",
        help="what pixel values 0 and 255 become for the model (default 0,1; 1,0: white is 0)",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", default="exports", type=Path, metavar="DIR", help="output folder (default exports)"
    )
    target = parser.add_argument(
        "--target", default=None, metavar="T",
        help=f"where the files go: {', '.join(DEPLOYMENTS)}; or the form of int8 files alone: "
        f"{', '.join(TARGETS)} (default native: each for its own runtime; auto: measured on this machine; "
        "portable: the plain form)",
    )  # fmt: skip
    completes(target, known=(*DEPLOYMENTS, *TARGETS))
    topics = {
        "quantization": parser.add_topic("quantization", "ranges, scales, layers in float"),
        "training": parser.add_topic("training", "quantization-aware training, pruning, clustering"),
        "checks": parser.add_topic("checks", "what the verdict is measured against, and its side files"),
        "input": parser.add_topic("input", "pictures, types of inputs and outputs, code of one's own"),
    }
    topics["input"].add_argument(
        "--opset", type=int, default=None, metavar="N",
        help="ONNX's version of operators, 13 to 21, for older runtimes (default 17: ONNX Runtime 1.12)",
    )  # fmt: skip
    add_method_options(parser, topics)
    _add_checks(topics["checks"])
    add_pixel_options(topics["input"])
    _add_input(topics["input"])
    topics["quantization"].add_argument(
        "--seed", type=int, default=0, help="chooses the calibration images (default 0)"
    )
    topics["quantization"].add_argument(
        "--no-rewrites", action="store_true", help="the model's operators as the converter gives them"
    )
    add_output_options(parser)
    parser.add_last()
    return parser


def _add_input(group: Any) -> None:
    io = group.add_argument(
        "--io", metavar="T",
        help="type of an integer file's input and output: int8, uint8 or float32 "
        "(default int8 for TFLite, uint8 for ONNX)",
    )  # fmt: skip
    completes(io, known=("int8", "uint8", "float32"))
    resize = group.add_argument(
        "--resize", default="bilinear", metavar="R",
        help="how pictures are brought to the model's size: bilinear (default), area, nearest, crop, pad",
    )  # fmt: skip
    completes(resize, known=("bilinear", "area", "nearest", "crop", "pad"))
    group.add_argument(
        "--output-name", metavar="NAME",
        help="of a model of several outputs: only this one (default: all are exported, each is judged)",
    )  # fmt: skip
    group.add_argument(
        "--until", metavar="LAYER",
        help="export the sub-model that ends at this layer (names: mnist-train --summary)",
    )  # fmt: skip
    group.add_argument(
        "--trust", action="store_true",
        help="run code that comes with the model or the data: of a SavedModel, --custom, --data "
        "FILE.py:function",
    )  # fmt: skip
    add_model_code_options(group)


def _add_checks(group: Any) -> None:
    group.add_argument("--max-drop", metavar="PP", help="largest loss of top-1 in percentage points (0.5)")
    group.add_argument("--min-agreement", metavar="PCT", help="smallest share of equal labels, percent (99)")
    add_head_options(group)
    group.add_argument("--threads", type=int, default=1, metavar="N", help="threads an inference (default 1)")
    group.add_argument(
        "--max-memory", type=float, metavar="GIB",
        help="memory that the run may take; one that needs more is refused (default: what is free)",
    )  # fmt: skip
    group.add_argument(
        "--on", default=None, metavar="DEVICES",
        help="check the files on these devices too, such as tflm,cortex-a72 (mnist-parity devices); ready: "
        "all that are, the default of --exact; none",
    )  # fmt: skip
    group.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML for a CI service")
    group.add_argument("--summary", type=Path, metavar="FILE", help="append a Markdown summary")
    group.add_argument(
        "--page", type=Path, metavar="DIR",
        help="write a page that reads drawn digits, or dropped pictures, with the int8 .onnx in a browser",
    )  # fmt: skip


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
        from mnist_export.pipeline.request import job_of

        arguments.model = _model_of(arguments)
        job = job_of(arguments, shlex.join(["mnist-export", *words]))
        side_files = SideFiles(junit=arguments.junit, summary=arguments.summary, page=arguments.page)
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
