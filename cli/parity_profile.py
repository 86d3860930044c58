"""``mnist-parity profile``: an .onnx file's time by operator, and why int8 is slow where it is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mnist_export.cli.common import EXIT_PASS, Console, emit, emit_json, printable
from mnist_export.cli.parity_options import add_model_options, existing, load_data, open_kernels
from mnist_export.core.errors import InputError

if TYPE_CHECKING:
    from mnist_export.runtime.timing.profile import Profile

_EXAMPLES = """examples:
  mnist-parity profile exports/lenet5-mnist.int8.onnx --against exports/lenet5-mnist.float32.onnx
  mnist-parity profile int8.onnx --batch 256 --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``profile``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("model", metavar="MODEL.onnx", help="what to profile")
    parser.add_argument("--against", metavar="FILE", help="the original, for the ratio (.onnx or .tflite)")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images of one run (default 1)")
    add_model_options(parser)


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``profile``; returns 0."""
    from mnist_export.runtime.parity.results import to_json
    from mnist_export.runtime.runners.ort import OnnxRuntimeRunner
    from mnist_export.runtime.timing.latency import measure_interleaved
    from mnist_export.runtime.timing.profile import profile, why_slow

    existing([arguments.model, *([arguments.against] if arguments.against else [])])
    if not 1 <= arguments.batch <= 4096:
        raise InputError(f"--batch: expected 1 to 4096, found {arguments.batch}.")
    dataset = load_data(arguments, console)
    images = dataset.test.images[: arguments.batch]
    ratio: float | None = None
    with open_kernels(arguments.model, arguments) as runner:
        if not isinstance(runner, OnnxRuntimeRunner):
            raise InputError(f"{arguments.model}: expected an .onnx file; LiteRT's Python has no profiler.")
        if arguments.against:
            with open_kernels(arguments.against, arguments) as other:
                found = measure_interleaved({"original": other, "model": runner}, images)
                ratio = found.ratios["model"].ratio
        result = profile(runner, images)
        paragraph = why_slow(result, ratio=ratio)
    if arguments.json:
        value: dict[str, Any] = {**to_json(result), "ratio": ratio, "why": paragraph}
        emit_json(value)
    else:
        emit(f"{_table(result)}\n\n{paragraph}")
    return EXIT_PASS


def _table(result: Profile) -> str:
    from mnist_export.report.markdown import render_table

    rows = [
        (
            printable(node.name),
            node.kind,
            "integer" if node.integer else "float",
            f"{node.microseconds:.1f} us",
            f"{node.share:.0%}",
        )
        for node in result.nodes
    ]
    return render_table(
        ("node", "operator", "input", "time", "share"), rows, (False, False, False, True, True)
    )
