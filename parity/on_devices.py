"""The same files on other devices: integer by integer against the file's own runtime here, and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.core.files import sha256_bytes
from mnist_export.core.kinds import Verdict
from mnist_export.parity.comparison import Thresholds, compare
from mnist_export.runtime.devices.device import Device, Question
from mnist_export.runtime.runners.opening import read_model, runtime_of
from mnist_export.runtime.runners.runner import Runner

if TYPE_CHECKING:
    from pathlib import Path

    from mnist_export.data.dataset import Split

PIECE_BYTES: Final = 48 << 20
_FORMATS: Final = {"litert": "tflite", "onnxruntime": "onnx"}


@dataclass(frozen=True, kw_only=True)
class OnDevice:
    """One file on one device; where it could not run there are no figures, and ``why`` says so.

    Attributes:
        device: its name.
        file: the file's label.
        runtime: what ran the file here, which the device's integers are compared with.
        images: how many were compared.
        values: output values compared, images times classes.
        differing: how many of them are not equal.
        largest: largest absolute difference, in steps of an integer output, else in real units.
        labels_differ: images with another label than the file's own runtime gives.
        top1: on the device, fraction of 1.
        drop_pp: the reference's top-1 minus the device's, percentage points.
        agreement: share of images with the reference's label.
        arena_bytes: working memory by the device's own report.
        verdict: against the reference, as for the file itself; None where it does not read the format.
        why: one sentence.
    """

    device: str
    file: str
    runtime: str
    images: int = 0
    values: int = 0
    differing: int | None = None
    largest: float | None = None
    labels_differ: int | None = None
    top1: float | None = None
    drop_pp: float | None = None
    agreement: float | None = None
    arena_bytes: int | None = None
    verdict: Verdict | None = None
    why: str = ""


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
                f"--on {device.name}: reads {reads}, found {found}. "
                "Give a file that it reads, or leave the device out."
            )


def check_on_devices(
    devices: Sequence[Device],
    runners: Sequence[Runner],
    split: Split,
    reference: npt.NDArray[np.float32],
    *,
    thresholds: Thresholds | None = None,
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
        notify: told what is being done.
    """
    rows = []
    for runner in runners:
        own: npt.NDArray[Any] | None = None
        for device in devices:
            kind = runner.source.format if runner.source else ""
            if kind not in device.formats:
                why = f"{device.name} reads {' and '.join(device.formats)}, not {kind or 'models in memory'}"
                rows.append(OnDevice(device=device.name, file=runner.label, runtime=runner.name, why=why))
                continue
            notify(f"{runner.label}: {len(split):,} images on {device.name} ({device.title})")
            own = runner.run_integers(split.images) if own is None else own
            try:
                found, arena = _answers(device, runner, split)
                rows.append(_compared(device, runner, split, reference, own, found, arena, thresholds))
            except MnistExportError as error:
                rows.append(
                    OnDevice(
                        device=device.name,
                        file=runner.label,
                        runtime=runner.name,
                        verdict=Verdict.FAIL,
                        why=str(error),
                    )
                )
    return tuple(rows)


def _answers(device: Device, runner: Runner, split: Split) -> tuple[npt.NDArray[Any], int | None]:
    """A device's answers to all images, asked in pieces of bounded size; and its arena."""
    if runner.source is None:
        raise InputError(f"{runner.label}: a model in memory cannot be taken to a device. Export it.")
    from pathlib import Path

    content = read_model(Path(runner.source.path))
    if sha256_bytes(content) != runner.source.sha256:
        raise InputError(f"{runner.source.path}: it changed while it was being checked. Check it again.")
    one = runner.prepare(split.images[:1]).nbytes + runner.num_classes * runner.output.dtype.itemsize
    size = max(1, PIECE_BYTES // one)
    parts, arena = [], None
    for start in range(0, len(split), size):
        answer = device.answer(
            Question(
                label=runner.label,
                content=content,
                format=runner.source.format,
                batch=runner.prepare(split.images[start : start + size]),
                classes=runner.num_classes,
                output_type=runner.output.dtype,
            )
        )
        parts.append(answer.values)
        arena = answer.arena_bytes or arena
    return np.concatenate(parts), arena


def _compared(
    device: Device,
    runner: Runner,
    split: Split,
    reference: npt.NDArray[np.float32],
    own: npt.NDArray[Any],
    found: npt.NDArray[Any],
    arena: int | None,
    thresholds: Thresholds | None,
) -> OnDevice:
    quant = runner.output.quant
    logits = quant.dequantize(found) if quant is not None else found.astype(np.float32)
    parity = compare(
        reference, logits, split.labels, thresholds=thresholds, candidate_step=runner.output_step
    )
    wide = np.float64 if own.dtype.kind == "f" else np.int64
    difference = np.abs(found.astype(wide) - own.astype(wide))
    differing = int(np.count_nonzero(difference))
    labels = int(np.count_nonzero(found.argmax(axis=1) != own.argmax(axis=1)))
    return OnDevice(
        device=device.name,
        file=runner.label,
        runtime=runner.name,
        images=len(split),
        values=int(own.size),
        differing=differing,
        largest=float(difference.max()),
        labels_differ=labels,
        top1=parity.top1,
        drop_pp=parity.drop_pp,
        agreement=parity.agreement,
        arena_bytes=arena,
        verdict=parity.verdict,
        why=parity.why,
    )
