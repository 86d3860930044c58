"""Files against their original, without a command line: open, check, report."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.core.errors import InputError
from mnist_export.pipeline.jobs.progress import SILENT, Progress

if TYPE_CHECKING:
    from mnist_export.core.pixel_rules import PixelRule
    from mnist_export.data import Dataset
    from mnist_export.models.foreign.beside import Beside
    from mnist_export.parity.comparison import Thresholds
    from mnist_export.report.schema import Report
    from mnist_export.runtime.devices.device import Device
    from mnist_export.runtime.runners.runner import Runner


def open_reference(
    spec: str,
    dataset: Dataset | None,
    *,
    threads: int = 1,
    input_range: PixelRule | None = None,
    trust: bool = False,
    beside: Beside | None = None,
) -> Runner:
    """Open an original: a file of any kind, a golden file, or the name of an architecture with weights.

    Args:
        spec: path or name.
        dataset: what a named architecture's weights are for.
        threads: of one inference.
        input_range: what pixels 0 and 255 become; None takes the file's own, else 0..1.
        trust: open SavedModels, and files without a trial run first.
        beside: code of the model's own layers, or the architecture of a file of weights.

    Raises:
        InputError: no such file or name, or one that is refused.
    """
    from mnist_export.runtime.runners.keras import open_keras
    from mnist_export.runtime.runners.opening import open_runner

    if Path(spec).exists():
        return open_runner(spec, threads=threads, input_range=input_range, trust=trust, beside=beside)
    if Path(spec).suffix or "/" in spec:
        raise InputError(f"{spec}: no such file. Check the path.")
    return open_keras(spec, dataset=dataset, threads=threads, input_range=input_range)


def data_for(
    data: str | Dataset | None,
    recorded: str | None,
    images: int | None,
    progress: Progress,
    *,
    trust: bool = False,
) -> Dataset:
    """The data that a check runs on.

    Args:
        data: what ``--data`` takes, a data set in memory, or None for the recording's own, else ``auto``.
        recorded: the data set's name in a golden file.
        images: only so many of the first test images; None takes all.
        progress: told what was chosen.
        trust: run the code of ``FILE.py:function``, and read files outside of a list's folder.

    Raises:
        InputError: no such data, or ``images`` below 1.
    """
    from mnist_export.data import load_dataset

    dataset = (
        load_dataset(data or recorded or "auto", notify=progress.warn, trust=trust)
        if data is None or isinstance(data, str)
        else data
    )
    if images is None:
        return dataset
    if images < 1:
        raise InputError(f"`images`: expected at least 1, found {images}.")
    test = dataset.test
    return replace(dataset, test=test.first(images))


def compare_files(
    reference: str,
    candidates: Sequence[str],
    *,
    data: str | Dataset | None = None,
    images: int | None = None,
    thresholds: Thresholds | None = None,
    input_range: PixelRule | None = None,
    kernels: str = "default",
    threads: int = 1,
    trust: bool = False,
    beside: Beside | None = None,
    timed: bool = True,
    isolate: bool = False,
    devices: Sequence[Device] = (),
    progress: Progress = SILENT,
) -> Report:
    """Compare files with their original over the test images, and time them in turns.

    Args:
        reference: golden .npz, .keras, .h5, SavedModel, .tflite, .onnx, or an architecture's name.
        candidates: .tflite and .onnx files, at least one.
        data: see `data_for`.
        images: see `data_for`.
        thresholds: what the verdicts are measured against.
        input_range: what pixels 0 and 255 become; None takes the files' own.
        kernels: of LiteRT or ONNX Runtime, for the candidates.
        threads: of one inference.
        trust: open SavedModels, and files without a trial run first.
        beside: code of the reference's own layers, or the architecture of a file of weights.
        timed: whether to measure latency.
        isolate: time each model in a process of its own.
        devices: ready ones, that the files are checked on too.
        progress: told what is being done.

    Raises:
        InputError: a file that is not there or refused, no images, or other data than a recording's.
    """
    from mnist_export.parity.checking import check
    from mnist_export.parity.on_devices import check_on_devices
    from mnist_export.pipeline.check_report import build_report
    from mnist_export.pipeline.on_devices import with_named_devices
    from mnist_export.runtime.runners.golden import GoldenRunner
    from mnist_export.runtime.runners.opening import open_runner

    for path in candidates:
        if not Path(path).exists():
            raise InputError(f"{path}: no such file. Check the path.")
    named = not Path(reference).exists()
    dataset = data_for(data, None, images, progress, trust=trust) if named else None
    with contextlib.ExitStack() as stack:
        original = stack.enter_context(
            open_reference(
                reference, dataset, threads=threads, input_range=input_range, trust=trust, beside=beside
            )
        )
        if dataset is None:
            recorded = original.golden.meta.data if isinstance(original, GoldenRunner) else None
            dataset = data_for(data, recorded, images, progress, trust=trust)
        runners = [
            stack.enter_context(
                open_runner(path, threads=threads, kernels=kernels, input_range=input_range, trust=trust)
            )
            for path in candidates
        ]
        result = check(
            original, runners, dataset.test,
            thresholds=thresholds, timed=timed, isolate=isolate, notify=progress.note,
        )  # fmt: skip
        logits = result.reference.logits
        rows = check_on_devices(
            devices, runners, dataset.test, logits, thresholds=thresholds, notify=progress.note
        )
    report = build_report(result, dataset, original, layers=[()] * len(runners), threads=threads)
    return with_named_devices(report, rows)
