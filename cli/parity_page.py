"""``mnist-parity page``: a page that reads drawn digits with an exported file."""

from __future__ import annotations

import argparse
from pathlib import Path

from mnist_export.cli.console import EXIT_PASS, Console, emit, emit_json
from mnist_export.cli.parity_options import add_model_options, existing, load_data

_EXAMPLES = """examples:
  mnist-parity page exports/lenet5-mnist.int8.onnx --data mnist -o page
  python -m http.server -d page                    # then open http://localhost:8000

The page runs the very file in onnxruntime-web (mnist-parity devices --prepare web fetches it) and compares
golden integers of test images at load. It is static: any server shows it, and it asks nothing of other hosts.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``page``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("model", metavar="FILE.onnx", help="an int8 .onnx")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("page"), metavar="DIR", help="folder (page)"
    )
    add_model_options(parser)


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``page``; returns 0."""
    from mnist_export.pipeline.drawing_page import write_drawing_page

    existing([arguments.model])
    dataset = load_data(arguments, console)
    found = write_drawing_page(Path(arguments.model), dataset, arguments.output, trust=arguments.trust)
    if arguments.json:
        emit_json({"schema_version": 1, "index": str(found.index), "images": found.images})
    else:
        emit(f"{found.index}: {found.images} golden images, {found.size_bytes / 1e6:.1f} MB")
        console.note(f"show it: python -m http.server -d {arguments.output}")
    return EXIT_PASS
