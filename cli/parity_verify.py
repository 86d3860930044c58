"""``mnist-parity verify``: a folder of exports against its own manifests."""

from __future__ import annotations

import argparse
from pathlib import Path

from mnist_export.cli.console import EXIT_PASS, EXIT_VERDICT, Console, emit, emit_json, printable

_EXAMPLES = """examples:
  mnist-parity verify exports
  mnist-parity verify exports --allow-extra --json

Finds every changed byte, every missing file and every file that no manifest lists. It shows that a folder
is as it was written, not who wrote it: whoever can change the files can write a new manifest.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``verify``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("folder", type=Path, metavar="DIR", help="what was given to mnist-export with -o")
    parser.add_argument("--allow-extra", action="store_true", help="accept files that no manifest lists")


def execute(arguments: argparse.Namespace, console: Console) -> int:
    """Run ``verify``; returns 0 where the folder is as it was written, else 1."""
    from mnist_export.parity.certificate.verification import problems, verify_folder

    found = verify_folder(arguments.folder, allow_extra=arguments.allow_extra)
    wrong = problems(found.files)
    if arguments.json:
        emit_json(found.to_json())
        return EXIT_PASS if found.sound else EXIT_VERDICT
    for file in wrong:
        emit(printable(f"{file.state.upper()}: {file.name}: {file.why}"))
    if not arguments.quiet:
        for file in found.files:
            if file not in wrong:
                console.detail(f"ok: {file.name}")
        emit(
            printable(f"PASS: {arguments.folder}: all {len(found.files)} files are as they were written.")
            if found.sound
            else printable(
                f"FAIL: {arguments.folder}: {len(wrong)} of {len(found.files)} files are not "
                "as they were written."
            )
        )
    return EXIT_PASS if found.sound else EXIT_VERDICT
