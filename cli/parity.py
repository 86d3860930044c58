"""``mnist-parity``: one table of subcommands, each a module with ``configure`` and ``execute``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from mnist_export.cli.common import add_output_options, run_command
from mnist_export.cli.console import Console
from mnist_export.cli.parser import CommandParser

# Name to (module, one line of help). A module is imported only when its subcommand is used.
SUBCOMMANDS: Final[dict[str, tuple[str, str]]] = {
    "check": ("mnist_export.cli.parity_check", "compare exported files with the original"),
    "record": ("mnist_export.cli.parity_record", "record the original's answers in a golden file"),
    "verify": ("mnist_export.cli.parity_verify", "check a folder of exports against its manifests"),
    "certify": ("mnist_export.cli.parity_certify", "prove that no rounding rule can change a file's answers"),
    "layers": ("mnist_export.cli.parity_layers", "find the layer at which two models part"),
    "devices": ("mnist_export.cli.parity_devices", "other runtimes that check --on can ask, and their state"),
    "compare": ("mnist_export.cli.parity_compare", "the reports of several runs side by side"),
    "page": ("mnist_export.cli.parity_page", "a page that reads drawn digits with an exported .onnx"),
    "profile": ("mnist_export.cli.parity_profile", "a file's time by operator, and why int8 is slow"),
}

_EXAMPLES = """examples:
  mnist-parity check lenet5.keras lenet5.int8.tflite lenet5.int8.onnx
  mnist-parity record lenet5.keras -o golden.npz      # where the original and its GPU are
  mnist-parity check golden.npz lenet5.int8.tflite    # where neither is
  mnist-parity layers lenet5.keras lenet5.int8.tflite
  mnist-parity verify exports

exit codes: 0 all verdicts pass, 1 a verdict fails, 2 bad usage or input, 130 interrupted
"""


_ALL: Final = "*"


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="mnist-parity",
        description="Checks that exported models still give the answers of the original.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_last()
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, text) in SUBCOMMANDS.items():
        command = commands.add_parser(
            name, help=text, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if chosen in (name, _ALL):
            importlib.import_module(module).configure(command)
            add_output_options(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``mnist-parity``.

    Args:
        argv: arguments without the program's name; None takes the command line's.

    Returns:
        The exit code of the contract.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    if "--print-completion" in arguments:
        chosen = _ALL
    return run_command(_parser(chosen), arguments, _execute)


def _execute(parsed: argparse.Namespace, console: Console) -> int:
    module = importlib.import_module(SUBCOMMANDS[parsed.command][0])
    return int(module.execute(parsed, console))


if __name__ == "__main__":
    sys.exit(main())
