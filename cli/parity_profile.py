"""``mnist-parity profile``: a file's time by operator, and why int8 is slow where it is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from mnist_export.cli.console import EXIT_PASS, Console, emit, emit_json, printable
from mnist_export.cli.parity_options import add_model_options, existing, load_data, open_kernels
from mnist_export.core.errors import InputError

if TYPE_CHECKING:
    from mnist_export.runtime.timing.profile import Profile

_EXAMPLES = """examples:
  mnist-parity profile exports/lenet5-mnist.int8.onnx --against exports/lenet5-mnist.float32.onnx
  mnist-parity profile exports/lenet5-mnist.int8.tflite --against exports/lenet5-mnist.float32.tflite
  mnist-parity profile int8.onnx --batch 256 --json

ONNX Runtime's own profiler times an .onnx. LiteRT's Python interface has none: each operator of a .tflite
is timed alone, cut out as a model of its own, and the whole model beside them.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``profile``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("model", metavar="MODEL", help=".onnx or .tflite")
    parser.add_argument("--against", metavar="FILE", help="the original, for the ratio (.onnx or .tflite)")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="images of one run (default 1)")
    add_model_options(parser)


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``profile``; returns 0."""
    from mnist_export.parity.results import to_json
    from mnist_export.runtime.timing.latency import measure_interleaved
    from mnist_export.runtime.timing.profile import can_profile, profile, why_slow

    existing([arguments.model, *([arguments.against] if arguments.against else [])])
    if not 1 <= arguments.batch <= 4096:
        raise InputError(f"--batch: expected 1 to 4096, found {arguments.batch}.")
    dataset = load_data(arguments, console)
    images = dataset.test.images[: arguments.batch]
    ratio: float | None = None
    with open_kernels(arguments.model, arguments) as runner:
        if not can_profile(runner):
            raise InputError(
                f"{arguments.model}: expected an .onnx or .tflite file, found one for {runner.name}."
            )
        if arguments.against:
            with open_kernels(arguments.against, arguments) as other:
                found = measure_interleaved({"original": other, "model": runner}, images)
                ratio = found.ratios["model"].ratio
        result = profile(runner, images)
        paragraph = why_slow(result, ratio=ratio)
    if arguments.json:
        value: dict[str, Any] = {
            **to_json(result),
            "parts_us": result.parts_us,
            "ratio": ratio,
            "why": paragraph,
        }
        emit_json(value)
    else:
        emit("\n\n".join(filter(None, [_table(result), _together(result), _memory(result), paragraph])))
    return EXIT_PASS


def _together(result: Profile) -> str:
    """How well the operators of a .tflite, timed alone, add up to the whole model."""
    if not result.alone or result.whole_us is None or result.overhead_us is None:
        return ""
    text = [
        "Operators were timed alone, each as a model of its own, without a call's overhead of "
        f"{result.overhead_us:.2f} us. Together and with one overhead they take {result.parts_us:.2f} us; "
        f"the whole model takes {result.whole_us:.2f} us. Caches and fusion make the two differ.",
        *result.notes,
    ]
    return " ".join(text)


def _memory(result: Profile) -> str:
    """What the values inside of a .tflite take."""
    if result.live_tensor_peak_bytes is None:
        return ""
    arena = "unknown" if result.arena_bytes is None else f"{result.arena_bytes:,} bytes"
    return (
        f"At most {result.live_tensor_peak_bytes:,} bytes of values are needed at once: an arena of TFLite "
        f"Micro cannot be smaller. LiteRT's arena with the scratch memory of its built-in kernels: {arena}. "
        "XNNPACK keeps its values in memory of its own, whose size it does not tell."
    )


def _table(result: Profile) -> str:
    from mnist_export.report.markdown import render_table

    litert = result.runtime == "litert"
    rows = [
        (
            printable(node.name),
            node.kind,
            "integer" if node.integer else "float",
            *([node.kernels] if litert else []),
            f"{node.microseconds:.{2 if litert else 1}f} us",
            f"{node.share:.0%}",
        )
        for node in result.nodes
    ]
    kernels = ("kernels",) if litert else ()
    header = ("node", "operator", "input", *kernels, "time", "share")
    return render_table(header, rows, [name in ("time", "share") for name in header])
