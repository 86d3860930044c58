"""``mnist-parity record --integers``, and ``check`` where the reference is such a golden."""

from __future__ import annotations

import argparse
import contextlib
import copy
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mnist_export.cli.console import EXIT_PASS, EXIT_VERDICT, Console, emit, emit_json, printable
from mnist_export.cli.parity_devices import chosen, table_of
from mnist_export.cli.parity_options import existing, input_range_of, load_data, open_kernels, sides_of
from mnist_export.core.errors import InputError
from mnist_export.core.registry import unknown_name

if TYPE_CHECKING:
    from mnist_export.parity.integer_check import IntegersResult, IntegersRow
    from mnist_export.parity.integer_golden import IntegerGolden

_ENDINGS: Final = {"npz": ".npz", "c": ".h"}
# Options of `check` that say nothing here: every integer is equal or it is not.
_UNUSED: Final = {
    "max_drop": "--max-drop",
    "min_agreement": "--min-agreement",
    "config": "--config",
    "layers": "--layers",
    "isolate": "--isolate",
    "pin": "--pin",
    "output": "-o",
    "summary": "--summary",
    "data": "--data",
    "images": "--images",
}


def record_golden(arguments: argparse.Namespace, console: Console) -> int:
    """Record a golden of integers, or write one that is there as C; returns 0."""
    from mnist_export.core.files import write_atomic
    from mnist_export.parity.goldens.c_source import c_files
    from mnist_export.parity.integer_golden import is_integers, load_integers

    output: Path = arguments.output
    if arguments.format not in _ENDINGS:
        raise unknown_name("--format", arguments.format, _ENDINGS)
    ending = _ENDINGS[arguments.format]
    if output.suffix != ending:
        raise InputError(
            f"-o: expected a name that ends in {ending} of --format {arguments.format}, found '{output}'."
        )
    existing([arguments.model])
    model = Path(arguments.model)
    written = [output, output.with_suffix(".c")] if arguments.format == "c" else [output]
    for path in written:
        if path.exists() and path.samefile(model):
            raise InputError(f"-o: '{path}' is the model itself. Choose another name.")
    if is_integers(model):
        if arguments.format != "c":
            raise InputError(f"{model}: is a golden of integers already. With --format c it is written as C.")
        golden = load_integers(model)
    else:
        golden = _recorded(arguments, console)
    if arguments.format == "c":
        write_atomic(c_files(golden, output))
    else:
        golden.save(output)
    if arguments.json:
        emit_json(golden.meta.to_json())
    else:
        meta = golden.meta
        count = f"{meta.images:,} images, {golden.outputs.size:,} integers"
        emit(printable(f"{output}: {count} of {meta.model} ({meta.chosen})"))
    return EXIT_PASS


def _recorded(arguments: argparse.Namespace, console: Console) -> IntegerGolden:
    from mnist_export.parity.goldens.recording import DEFAULT_IMAGES, record_integers

    everything = copy.copy(arguments)
    everything.images = None
    with open_kernels(arguments.model, arguments) as runner:
        shape = tuple(runner.image_tail)
        dataset = load_data(everything, console, input_shape=shape)
        return record_integers(
            runner,
            dataset,
            DEFAULT_IMAGES if arguments.images is None else arguments.images,
            data=arguments.data if arguments.data not in (None, "auto") else dataset.name,
            notify=console.note,
        )


def check_golden(arguments: argparse.Namespace, console: Console) -> int:
    """Check files against a golden of integers; returns 0 where each gives every integer, everywhere."""
    from mnist_export.core.files import write_atomic_one
    from mnist_export.core.side_files import check_side_files
    from mnist_export.parity.integer_check import check_integers
    from mnist_export.parity.integer_golden import load_integers

    for name, option in _UNUSED.items():
        if getattr(arguments, name) not in (None, False):
            raise InputError(
                f"{option}: has no meaning against a golden of integers, which holds its images and allows "
                "no difference. Leave it out."
            )
    existing(arguments.candidates)
    golden = load_integers(arguments.reference)
    devices = chosen(arguments)
    check_side_files(
        {"--junit": arguments.junit},
        {"the reference": arguments.reference, **{f"'{path}'": path for path in arguments.candidates}},
    )
    _, ours = sides_of(arguments)
    rule = input_range_of(ours) or golden.meta.rule
    with contextlib.ExitStack() as stack:
        runners = [stack.enter_context(open_kernels(path, ours, rule=rule)) for path in arguments.candidates]
        result = check_integers(golden, runners, devices, notify=console.note)
    if arguments.junit is not None:
        from mnist_export.report.junit import render_cases

        cases = [(f"{row.file} on {row.place}", _word(row) == "fail", row.why) for row in result.rows]
        write_atomic_one(arguments.junit, render_cases(f"integers of {golden.meta.model}", cases))
    if arguments.json:
        emit_json(result.to_json())
    else:
        _print(result)
    return EXIT_PASS if result.passed else EXIT_VERDICT


def _print(result: IntegersResult) -> None:
    head = "file", "on", "the recorded file", "integers differ", "largest", "labels differ", "verdict"
    rows: list[tuple[str, ...]] = [head]
    rows += [_cells(row) for row in result.rows]
    emit(printable(f"{'PASS' if result.passed else 'FAIL'}: {result.verdict}"))
    emit("")
    emit(table_of(rows))
    why = [f"  {row.file} on {row.place}: {row.why}" for row in result.rows if _word(row) != "pass"]
    if why:
        emit("\n".join(["", "Why:", *map(printable, why)]))


def _cells(row: IntegersRow) -> tuple[str, ...]:
    same = "yes" if row.same_file else "no"
    if row.differing is None:
        return row.file, row.place, same, "-", "-", "-", _word(row)
    return (
        row.file,
        row.place,
        same,
        f"{row.differing:,} of {row.values:,}",
        str(row.largest),
        f"{row.labels_differ:,} of {row.images:,}",
        _word(row),
    )


def _word(row: IntegersRow) -> str:
    return row.verdict.value if row.verdict else "not run"
