"""The same files on other devices: integer by integer against the file's own runtime here, and a verdict."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.core.files import sha256_bytes
from mnist_export.core.kinds import StrEnum
from mnist_export.core.record import Record
from mnist_export.parity.answers import comparable
from mnist_export.parity.checking import compared
from mnist_export.parity.comparison import Thresholds
from mnist_export.parity.heads import Head
from mnist_export.runtime.devices.device import Answer, Device, Question
from mnist_export.runtime.runners.opening import read_model, runtime_of
from mnist_export.runtime.runners.runner import Runner

if TYPE_CHECKING:
    from mnist_export.data.dataset import Split

PIECE_BYTES: Final = 48 << 20
_FORMATS: Final = {"litert": "tflite", "onnxruntime": "onnx", "c": "c"}


class DeviceVerdict(StrEnum):
    """Outcome of one file on one device; a compiler runs nothing, and a device may not read the format."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    COMPILED = "compiled"
    NOT_RUN = "not run"


@dataclass(frozen=True, kw_only=True)
class OnDevice(Record):
    """One file on one device; where it could not run there are no figures, and ``why`` says so.

    Attributes:
        device: its name.
        file: the file's label.
        verdict: against the reference, as for the file itself; or that it was compiled only, or not run.
        why: one sentence.
        images: how many were compared.
        values: output values compared, images times classes.
        differing: how many of them are not equal.
        largest: largest absolute difference, in steps of an integer output, else in real units.
        labels_differ: images with another label than the file's own runtime gives; of several labels an
            image, than the original gives; None for numbers.
        top1: on the device, fraction of 1.
        drop_pp: the reference's top-1 minus the device's, percentage points.
        agreement: share of images with the reference's label.
        arena_bytes: working memory by the device's own report.
        latency_us: median of one image by the device's own clock, where that clock means something.
        figures: what the device says of the file besides, in its own words.
        runtime: what ran the file here, which the device's integers are compared with; not part of a report.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("top1", "agreement")
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("images", "values", "arena_bytes", "latency_us")

    device: str
    file: str
    verdict: DeviceVerdict = DeviceVerdict.NOT_RUN
    why: str = ""
    images: int = 0
    values: int = 0
    differing: int | None = None
    largest: float | None = None
    labels_differ: int | None = None
    top1: float | None = None
    drop_pp: float | None = None
    agreement: float | None = None
    arena_bytes: int | None = None
    latency_us: float | None = None
    figures: dict[str, str] = field(default_factory=dict)
    runtime: str = field(default="", repr=False, compare=False)

    @property
    def judged(self) -> bool:
        """Whether the device ran the file, or should have."""
        return self.verdict in {DeviceVerdict.PASS, DeviceVerdict.FAIL}


def require_readable(devices: Sequence[Device], paths: Sequence[Path]) -> None:
    """Refuse a device that reads none of the files: nothing compared is no pass.

    Raises:
        InputError: there is such a device.
    """
    formats = {_FORMATS.get(runtime_of(path), "another format") for path in paths}
    for device in devices:
        if not formats & set(device.formats):
            reads, found = " and ".join(device.formats), ", ".join(sorted(formats))
            raise InputError(
                f'`on="{device.name}"`: reads {reads}, found {found}. '
                "Give a file that it reads, or leave the device out."
            )


def check_on_devices(
    devices: Sequence[Device],
    runners: Sequence[Runner],
    split: Split,
    reference: npt.NDArray[np.float32],
    *,
    thresholds: Thresholds | None = None,
    head: Head | None = None,
    notify: Callable[[str], None] = lambda _: None,
) -> tuple[OnDevice, ...]:
    """Run every file on every device over the same images.

    A device that cannot run a file of a format that it reads, or answers with something else than the file's
    output, fails; a format that it does not read is said and not judged.

    Args:
        devices: ready ones.
        runners: the files, open in their own runtimes.
        split: test images and labels.
        reference: the original's logits, float32 (images, classes).
        thresholds: what the verdicts are measured against.
        head: what the outputs are; None is classes.
        notify: told what is being done.
    """
    limits = thresholds or Thresholds()
    rows: list[OnDevice] = []
    with side_by_side(devices) as pool:
        for runner in runners:
            rows += _rows(pool, devices, runner, split, reference, limits, head or Head(), notify)
    return tuple(rows)


def side_by_side(devices: Sequence[Device]) -> ThreadPoolExecutor:
    """Threads for as many devices as there are processors."""
    return ThreadPoolExecutor(max_workers=max(1, min(len(devices), len(os.sched_getaffinity(0)))))


def _rows(
    pool: ThreadPoolExecutor,
    devices: Sequence[Device],
    runner: Runner,
    split: Split,
    reference: npt.NDArray[np.float32],
    thresholds: Thresholds,
    head: Head,
    notify: Callable[[str], None],
) -> list[OnDevice]:
    """One file on all devices, side by side where there are processors for it."""
    kind = runner.source.format if runner.source else ""
    found = answers_of(pool, devices, runner, split, notify)
    own = runner.run_integers(split.images) if any(isinstance(a, list) for a in found.values()) else None
    rows = []
    for device in devices:
        row = OnDevice(device=device.name, file=runner.label, runtime=runner.name)
        given = found.get(device.name)
        if given is None:
            why = f"{device.name} reads {' and '.join(device.formats)}, not {kind or 'models in memory'}"
            rows.append(replace(row, why=why))
        elif isinstance(given, MnistExportError):
            rows.append(
                replace(row, verdict=DeviceVerdict.FAIL, why=str(given).removeprefix(f"{runner.label}: "))
            )
        elif given[0].values is None:
            rows.append(_compiled(row, given[0]))
        elif own is not None:
            rows.append(_compared(row, runner, split, reference, own, given, thresholds, head))
    return rows


def _compiled(row: OnDevice, answer: Answer) -> OnDevice:
    verdict = DeviceVerdict.COMPILED if answer.figures else DeviceVerdict.NOT_RUN
    return replace(row, verdict=verdict, figures=dict(answer.figures), why=answer.summary)


def answers_of(
    pool: ThreadPoolExecutor,
    devices: Sequence[Device],
    runner: Runner,
    split: Split,
    notify: Callable[[str], None],
) -> dict[str, list[Answer] | MnistExportError]:
    """Ask those devices that read a file's format, side by side where there are processors for it.

    Args:
        pool: as many threads as devices may run at once.
        devices: ready ones.
        runner: the file, open.
        split: images and labels.
        notify: told what is being done.

    Returns:
        Device's name to its answers for pieces of the images in their order, or to why it gave none.
    """
    kind = runner.source.format if runner.source else ""
    asked = [device for device in devices if kind in device.formats]
    found: dict[str, list[Answer] | MnistExportError] = {device.name: [] for device in asked}
    if asked:
        names = ", ".join(device.name for device in asked)
        notify(f"{runner.label}: {len(split):,} images on {names}")
        for question in _questions(runner, split):
            open_ones = [device for device in asked if isinstance(found[device.name], list)]
            answers = pool.map(_answer, open_ones, [question] * len(open_ones))
            for device, answer in zip(open_ones, answers, strict=True):
                kept = found[device.name]
                if isinstance(answer, MnistExportError):
                    found[device.name] = answer
                elif isinstance(kept, list):
                    kept.append(answer)
    return found


def _answer(device: Device, question: Question) -> Answer | MnistExportError:
    try:
        return device.answer(question)
    except MnistExportError as error:
        return error


def _questions(runner: Runner, split: Split) -> Iterator[Question]:
    """All images, in pieces of bounded size."""
    if runner.source is None:
        raise InputError(f"{runner.label}: a model in memory cannot be taken to a device. Export it.")
    path = Path(runner.source.path)
    content = read_model(path)
    if sha256_bytes(content) != runner.source.sha256:
        raise InputError(f"{path}: it changed while it was being checked. Check it again.")
    header = read_model(path.with_suffix(".h")) if runner.source.format == "c" else b""
    one = runner.prepare(split.images[:1]).nbytes + runner.num_classes * runner.output.dtype.itemsize
    size = max(1, PIECE_BYTES // one)
    for start in range(0, len(split), size):
        yield Question(
            label=runner.label,
            content=content,
            header=header,
            images=split.images[start : start + size],
            labels=split.labels[start : start + size],
            pixels=tuple(runner.input_range.words()),
            output_quant=runner.output.quant,
            format=runner.source.format,
            batch=runner.prepare(split.images[start : start + size]),
            classes=runner.num_classes,
            output_type=runner.output.dtype,
        )


def _compared(
    row: OnDevice,
    runner: Runner,
    split: Split,
    reference: npt.NDArray[np.float32],
    own: npt.NDArray[Any],
    answers: Sequence[Answer],
    thresholds: Thresholds,
    head: Head,
) -> OnDevice:
    """Fill a row with what the answers differ by."""
    found = np.concatenate([answer.values for answer in answers if answer.values is not None])
    quant = runner.output.quant
    logits = quant.dequantize(found) if quant is not None else found.astype(np.float32)
    (logits,) = comparable(head, [runner], [logits])
    parity, judged = compared(
        head, reference, logits, split, thresholds=thresholds, candidate_step=runner.output_step
    )
    wide = np.float64 if own.dtype.kind == "f" else np.int64
    difference = np.abs(found.astype(wide) - own.astype(wide))
    return replace(
        row,
        images=len(split),
        values=int(own.size),
        differing=int(np.count_nonzero(difference)),
        largest=float(difference.max()),
        labels_differ=(
            int(np.count_nonzero(found.argmax(axis=1) != own.argmax(axis=1)))
            if judged is None
            else judged.differing
        ),
        top1=parity.top1 if judged is None else None,
        drop_pp=parity.drop_pp if judged is None else judged.drop_pp,
        agreement=parity.agreement if judged is None else judged.agreement,
        arena_bytes=answers[-1].arena_bytes,
        latency_us=answers[-1].latency_us,
        figures=dict(answers[-1].figures),
        verdict=DeviceVerdict(parity.verdict.value),
        why=parity.why,
    )
