"""``mnist-parity certify``: is every runtime bound to compute the same integers from a file?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.cli.console import EXIT_PASS, EXIT_VERDICT, Console, emit, emit_json, printable
from mnist_export.core.kinds import Verdict

if TYPE_CHECKING:
    from mnist_export.parity.certificate.certifying import Certificate

_EXAMPLES = """examples:
  mnist-parity certify lenet5.int8-exact.tflite lenet5.int8-exact.onnx
  mnist-parity certify somebody-elses.tflite --json

exit codes: 0 every file is exact, 1 a file is not (the first layer that breaks it is named), 2 bad input
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``certify``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help=".tflite or .onnx, of any maker")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``certify``; returns 0, or 1 where a file is not exact."""
    from mnist_export.parity.certificate.certifying import certify_file

    found = [(path, certify_file(path)) for path in arguments.files]
    if arguments.json:
        documents = [{"path": str(path), **certificate.to_json()} for path, certificate in found]
        emit_json(documents[0] if len(documents) == 1 else documents)
    else:
        for path, certificate in found:
            emit(_table(path, certificate, verbose=not console.quiet))
    passed = all(certificate.verdict is Verdict.PASS for _, certificate in found)
    return EXIT_PASS if passed else EXIT_VERDICT


def _table(path: Path, certificate: Certificate, *, verbose: bool) -> str:
    lines = [f"{path}: {printable(certificate.text)}"]
    if verbose:
        width = min(40, max((len(layer.name) for layer in certificate.layers), default=0))
        for layer in certificate.layers:
            mark = "exact" if layer.holds else "FAILS"
            lines.append(
                f"  {mark}  {printable(layer.name):{width}}  {layer.operator:17}  {printable(layer.text)}"
            )
    return "\n".join(lines)
