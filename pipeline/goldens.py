"""Goldens without a command line: answers and integers recorded, written as C, checked."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.core.errors import InputError
from mnist_export.pipeline.comparing import compare_files, data_for, data_loader
from mnist_export.pipeline.jobs.progress import SILENT, Progress
from mnist_export.pipeline.on_devices import devices_named

if TYPE_CHECKING:
    from mnist_export.core.pixel_rules import PixelRule
    from mnist_export.data import Dataset
    from mnist_export.parity.integer_check import IntegersResult
    from mnist_export.parity.integer_golden import IntegerGolden
    from mnist_export.parity.opening import Opening
    from mnist_export.report.schema import Report
    from mnist_export.runtime.runners.golden import Golden


def record_golden(
    file: str,
    output: Path,
    *,
    data: str | Dataset = "auto",
    images: int | None = None,
    input_range: PixelRule | None = None,
    threads: int = 1,
    trust: bool = False,
    progress: Progress = SILENT,
) -> IntegerGolden:
    """Record a file's own integers, see `record_integers`, and write them.

    Args:
        file: a .tflite, .onnx or .c; where the output is C, a golden of integers too.
        output: an .npz, or the .h beside which the .c is written.
        data: see `data_for`.
        images: how many to keep; None is 64.
        input_range: what pixels 0 and 255 become; None takes the file's own.
        threads: of one inference.
        trust: the file is known: skip the trial run, compile C.
        progress: told what is being done.

    Raises:
        InputError: a file that is not there or refused, or another ending of the output.
        UnsupportedError: the file's outputs are no integers.
    """
    from mnist_export.core.files import write_atomic
    from mnist_export.parity.goldens.c_source import c_files
    from mnist_export.parity.goldens.recording import DEFAULT_IMAGES, record_integers
    from mnist_export.parity.integer_golden import is_integers, load_integers
    from mnist_export.runtime.runners.opening import open_runner

    if output.suffix not in {".npz", ".h"}:
        raise InputError(f"output: expected a name that ends in .npz or .h, found '{output}'.")
    if output.suffix == ".h" and is_integers(file):
        golden = load_integers(file)
    else:
        with open_runner(file, threads=threads, trust=trust, input_range=input_range) as runner:
            dataset = data_for(data, None, None, progress, trust=trust)
            golden = record_integers(
                runner,
                dataset,
                DEFAULT_IMAGES if images is None else images,
                data=data if isinstance(data, str) and data != "auto" else dataset.name,
                notify=progress.note,
            )
    if output.suffix == ".h":
        write_atomic(c_files(golden, output))
    else:
        golden.save(output)
    return golden


def record_answers(
    model: str,
    output: Path,
    *,
    data: str | Dataset = "auto",
    images: int | None = None,
    how: Opening | None = None,
    latency: bool = True,
    progress: Progress = SILENT,
) -> Golden:
    """Record an original's answers, see `parity.recording.record`, and write them.

    Args:
        model: what `parity.opening.open_all` takes as the reference.
        output: the .npz.
        data: see `data_for`.
        images: only so many of the first test images.
        how: how the model is opened, and what its outputs are.
        latency: whether to measure it.
        progress: told what is being done.

    Raises:
        InputError: a file that is not there or refused, or another ending of the output.
    """
    from mnist_export.parity.opening import Opening, open_one
    from mnist_export.parity.recording import record

    if output.suffix != ".npz":
        raise InputError(f"output: expected a name that ends in .npz, found '{output}'.")
    how = how or Opening()
    with contextlib.ExitStack() as stack:
        load = data_loader(data, images, progress, trust=how.trust, head=how.head)
        runner, dataset = open_one(stack, model, load, how)
        golden = record(
            runner,
            dataset,
            data=data if isinstance(data, str) and data != "auto" else dataset.name,
            timed=latency,
            layers=None,
            parameters=getattr(runner, "parameters", 0),
            macs=getattr(runner, "macs", 0),
            asked=how.head,
        )
    golden.save(output)
    return golden


def check_files(
    reference: str,
    candidates: Sequence[str],
    *,
    on: str | None = None,
    how: Opening | None = None,
    progress: Progress = SILENT,
    **more: Any,
) -> Report | IntegersResult:
    """Compare files with their original, or with a golden of integers.

    Args:
        reference: what `compare_files` takes, or a golden of integers.
        candidates: .tflite, .onnx and .c files, at least one.
        on: devices that the files are checked on too, separated by commas.
        how: how the files are opened, and what their outputs are.
        progress: told what is being done.
        **more: what else `compare_files` takes; a golden of integers has no use for it.

    Raises:
        InputError: a file that is not there or refused, or one of another network.
    """
    from mnist_export.parity.integer_golden import is_integers
    from mnist_export.parity.opening import Opening

    for path in candidates:
        if not Path(path).exists():
            raise InputError(f"{path}: no such file. Check the path.")
    devices = devices_named(on, [Path(path) for path in candidates])
    if not is_integers(reference):
        return compare_files(reference, candidates, devices=devices, how=how, progress=progress, **more)
    from mnist_export.parity.integer_check import check_integers
    from mnist_export.parity.integer_golden import load_integers
    from mnist_export.runtime.runners.opening import open_runner

    how = how or Opening()
    recorded = load_integers(reference)
    pixels = how.input_range or recorded.meta.rule
    with contextlib.ExitStack() as stack:
        runners = [
            stack.enter_context(
                open_runner(
                    path, threads=how.threads, kernels=how.kernels[1], trust=how.trust, input_range=pixels
                )
            )
            for path in candidates
        ]
        return check_integers(recorded, runners, devices, notify=progress.note)
