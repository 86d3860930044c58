"""Files against their original, without a command line: open, check, report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.core.errors import InputError
from mnist_export.pipeline.jobs.progress import SILENT, Progress

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.data.picture_options import PictureOptions
    from mnist_export.parity.comparison import Thresholds
    from mnist_export.parity.opening import LoadData, Opening, Shape
    from mnist_export.report.schema import Report
    from mnist_export.runtime.devices.device import Device


def data_for(
    data: str | Dataset | None,
    recorded: str | None,
    images: int | None,
    progress: Progress,
    *,
    trust: bool = False,
    head: str = "classes",
    pictures: PictureOptions | None = None,
) -> Dataset:
    """The data that a check runs on.

    Args:
        data: what ``--data`` takes, a data set in memory, or None for the recording's own, else ``auto``.
        recorded: the data set's name in a golden file.
        images: only so many of the first test images; None takes all.
        progress: told what was chosen.
        trust: run the code of ``FILE.py:function``, and read files outside of a list's folder.
        head: what y may be besides classes.
        pictures: how pictures in files are read.

    Raises:
        InputError: no such data, or ``images`` below 1.
    """
    from mnist_export.data import load_dataset

    dataset = (
        load_dataset(
            data or recorded or "auto", notify=progress.warn, trust=trust, head=head, pictures=pictures
        )
        if data is None or isinstance(data, str)
        else data
    )
    if images is None:
        return dataset
    if images < 1:
        raise InputError(f"`images`: expected at least 1, found {images}.")
    test = dataset.test
    return replace(dataset, test=test.first(images))


def data_loader(
    data: str | Dataset | None,
    images: int | None,
    progress: Progress,
    *,
    trust: bool = False,
    head: str = "auto",
    resize: str = "bilinear",
) -> LoadData:
    """What gives a check its data once it is known what the models take.

    Args:
        data: see `data_for`.
        images: see `data_for`.
        progress: told what was chosen.
        trust: see `data_for`.
        head: see `data_for`.
        resize: how pictures in files are brought to the model's size.
    """
    from mnist_export.data.picture_options import Resize, pictures_for
    from mnist_export.data.picture_table import has_pictures

    way = Resize.parse(resize)

    def load(recorded: str | None, shape: Callable[[], Shape]) -> Dataset:
        files = isinstance(data, str) and Path(data).exists() and has_pictures(Path(data))
        pictures = pictures_for(shape() if files else None, way)
        return data_for(data, recorded, images, progress, trust=trust, head=head, pictures=pictures)

    return load


def compare_files(
    reference: str,
    candidates: Sequence[str],
    *,
    data: str | Dataset | None = None,
    images: int | None = None,
    thresholds: Thresholds | None = None,
    how: Opening | None = None,
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
        how: how models are opened, and what their outputs are.
        timed: whether to measure latency.
        isolate: time each model in a process of its own.
        devices: ready ones, that the files are checked on too.
        progress: told what is being done.

    Raises:
        InputError: a file that is not there or refused, no images, or other data than a recording's.
    """
    from mnist_export.parity.checking import check
    from mnist_export.parity.on_devices import check_on_devices
    from mnist_export.parity.opening import Opening, open_all
    from mnist_export.pipeline.check_report import build_report
    from mnist_export.pipeline.on_devices import with_named_devices

    for path in candidates:
        if not Path(path).exists():
            raise InputError(f"{path}: no such file. Check the path.")
    how = how or Opening()
    with contextlib.ExitStack() as stack:
        load = data_loader(data, images, progress, trust=how.trust, head=how.head)
        opened = open_all(stack, reference, candidates, load, how)
        result = check(
            opened.reference, opened.candidates, opened.dataset.test,
            thresholds=thresholds, head=opened.head, timed=timed, isolate=isolate, notify=progress.note,
        )  # fmt: skip
        rows = check_on_devices(
            devices, opened.candidates, opened.dataset.test, result.reference.logits,
            thresholds=thresholds, head=opened.head, notify=progress.note,
        )  # fmt: skip
    if (own := result.reference.own) is not None and own.warning:
        progress.warn(own.warning)
    layers = [()] * len(opened.candidates)
    report = build_report(result, opened.dataset, opened.reference, layers=layers, threads=how.threads)
    return with_named_devices(report, rows)
