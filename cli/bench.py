"""``mnist-bench``: models by runtimes by precisions, with accuracy, size, latency, throughput and memory."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.cli.common import add_output_options, run_command
from mnist_export.cli.console import EXIT_PASS, EXIT_VERDICT, Console, emit
from mnist_export.cli.parser import CommandParser

if TYPE_CHECKING:
    from mnist_export.pipeline.benchmark import BenchJob

_EXAMPLES = """examples:
  mnist-bench --quick                                        LeNet-5, float32 and int8, under two minutes
  mnist-bench --models lenet5,custom2 --data mnist -o benchmarks/results
  mnist-bench --models mynet.keras --precisions float32,int8 --formats tflite --threads 1,4
  mnist-bench --quick --compare benchmarks/results/benchmark.json
  mnist-bench --results new.json --compare old.json          compares two runs, measures nothing

exit codes: 0 done, and nothing became worse; 1 a figure became worse than --compare's limits;
2 bad usage or input; 130 interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line; imports nothing heavy."""
    parser = CommandParser(
        prog="mnist-bench",
        description="Measure exported models: accuracy, agreement, size, latency, throughput, start-up and "
        "memory, each runtime in a process of its own, times in turns.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-m", "--models", default="lenet5", metavar="M[,M]",
        help="architectures' names or model files (default lenet5)",
    )  # fmt: skip
    parser.add_argument(
        "--precisions", metavar="P[,P]",
        help="versions to measure (default: float32,float16,dynamic,int8,int16x8; with --quick float32,int8; "
        "also int8-exact, int8-qat, int8-portable)",
    )  # fmt: skip
    parser.add_argument(
        "--formats", default="tflite,onnx", metavar="F[,F]", help="tflite, onnx (default both)"
    )
    parser.add_argument(
        "--data", default="auto", metavar="D",
        help="auto (default), mnist, fashion-mnist, digits, or a path, as for mnist-export",
    )  # fmt: skip
    parser.add_argument(
        "--input-range", default="0,1", metavar="LO,HI",
        help="what pixel values 0 and 255 become for the model (default 0,1)",
    )  # fmt: skip
    parser.add_argument("--images", type=int, metavar="N", help="only the first N test images")
    parser.add_argument(
        "--quick", action="store_true", help="float32 and int8, batches 1 and 256, one thread, short turns"
    )
    parser.add_argument("--compare", type=Path, metavar="OLD.json", help="compare with an earlier run")
    parser.add_argument(
        "-o", "--output", default="benchmarks/results", type=Path, metavar="PATH",
        help="folder for benchmark.json, .md and .png, or a .json to name them after "
        "(default benchmarks/results)",
    )  # fmt: skip
    plan = parser.add_topic("plan", "batches, threads, processors, trust")
    plan.add_argument("--batches", metavar="N[,N]", help="images of one call (default 1,8,32,128,256)")
    plan.add_argument("--threads", metavar="N[,N]", help="threads of one inference (default 1 and all)")
    plan.add_argument(
        "--pin", action="store_true", help="hold each process on as many processors as it has threads"
    )
    plan.add_argument("--trust", action="store_true", help="open a SavedModel, which can run code")
    group = parser.add_topic("comparison", "limits of --compare, and results that are there already")
    group.add_argument(
        "--results", type=Path, metavar="NEW.json", help="take these results, do not measure again"
    )
    group.add_argument(
        "--max-slowdown", type=float, default=10.0, metavar="PCT",
        help="largest growth of a ratio to ONNX float, beyond both runs' intervals (default 10)",
    )  # fmt: skip
    group.add_argument(
        "--max-drop", type=float, default=0.1, metavar="PP",
        help="largest loss of top-1 and of agreement, percentage points (default 0.1)",
    )  # fmt: skip
    add_output_options(parser)
    parser.add_last()
    return parser


def job_of(arguments: argparse.Namespace, command: str) -> BenchJob:
    """Check the arguments and turn them into a job.

    Raises:
        InputError: an unknown name, or a number out of its range.
    """
    from mnist_export.core.errors import InputError
    from mnist_export.core.pixels import InputRange
    from mnist_export.core.registry import unknown_name
    from mnist_export.pipeline.benchmark import QUICK_VERSIONS, USUAL_VERSIONS, VERSIONS, BenchJob
    from mnist_export.report.benchmark_compare import Limits
    from mnist_export.runtime.bench.measuring import FULL, QUICK, Plan
    from mnist_export.runtime.environment import usable_cores

    precisions = words(arguments.precisions) or (QUICK_VERSIONS if arguments.quick else USUAL_VERSIONS)
    formats = words(arguments.formats)
    for kind, names, known in (
        ("precision", precisions, tuple(VERSIONS)),
        ("format", formats or ("",), ("tflite", "onnx")),
    ):
        for name in names:
            if name not in known:
                raise unknown_name(kind, name, known)
    if arguments.images is not None and arguments.images < 1:
        raise InputError(f"--images: expected at least 1, found {arguments.images}.")
    models = words(arguments.models)
    if not models:
        raise InputError("--models: expected at least one name or file, found none. Example: --models lenet5")
    cores = usable_cores()
    usual = (1,) if arguments.quick or cores == 1 else (1, cores)
    batches = numbers("--batches", arguments.batches)
    return BenchJob(
        models=models,
        precisions=precisions,
        formats=formats,
        data=arguments.data,
        input_range=InputRange.parse(arguments.input_range),
        plan=Plan(
            batches=batches or ((1, 256) if arguments.quick else (1, 8, 32, 128, 256)),
            threads=numbers("--threads", arguments.threads) or usual,
            effort=QUICK if arguments.quick else FULL,
            pin=arguments.pin,
        ),
        images=arguments.images,
        trust=arguments.trust,
        output=arguments.output,
        compare=arguments.compare,
        results=arguments.results,
        limits=Limits(
            time=1 + arguments.max_slowdown / 100,
            top1_pp=arguments.max_drop,
            agreement_pp=arguments.max_drop,
        ),
        command=command,
    )


def words(text: str | None) -> tuple[str, ...]:
    """The words of a list with commas, each once; empty for None."""
    return tuple(dict.fromkeys(word.strip() for word in (text or "").split(",") if word.strip()))


def numbers(flag: str, text: str | None) -> tuple[int, ...]:
    """The whole numbers of a list with commas.

    Raises:
        InputError: something else is in it.
    """
    from mnist_export.core.errors import InputError

    try:
        return tuple(int(word) for word in words(text))
    except ValueError:
        raise InputError(f"{flag}: expected whole numbers such as 1,32,256, found '{text}'.") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mnist-bench``.

    Args:
        argv: arguments without the program's name; None takes the command line's.

    Returns:
        The exit code of the contract.
    """
    given = list(sys.argv[1:] if argv is None else argv)

    def execute(arguments: argparse.Namespace, console: Console) -> int:
        import shlex

        from mnist_export.pipeline.benchmark import run_job

        outcome = run_job(job_of(arguments, shlex.join(["mnist-bench", *given])), console)
        if arguments.json:
            emit(outcome.benchmark.to_json().rstrip("\n"))
        elif not arguments.quiet:
            emit(outcome.summary)
        return EXIT_PASS if outcome.passed else EXIT_VERDICT

    return run_command(build_parser(), given, execute)


if __name__ == "__main__":
    sys.exit(main())
